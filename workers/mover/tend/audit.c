#include "mover/tend/audit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/queue/queue.h"
#include "mover/session.h"
#include "mover/stop.h"

#define REST_MS 10

/* Seconds since the end of the move. A message that lets the old owner's copy go on must not have
 * overtaken that end. */
#define AFTER_S "1"

/* One statement at the old owner covers so many users, or so many rows. */
#define PART_USERS 50
#define PART_ROWS  10000

#define ARRAY_SIZE (PART_USERS * USER_SIZE + 2)


/* The moves in `due` are ordered by unit. The rows first .. end - 1 become one part, which is of
 * one unit. */
static int
part_of(const PGresult *due, int first)
{
    int  end = first;
    long rows = 0;

    while (end < PQntuples(due) && end - first < PART_USERS && (end == first || rows < PART_ROWS)
           && strcmp(PQgetvalue(due, end, 2), PQgetvalue(due, first, 2)) == 0)
    {
        rows += atol(PQgetvalue(due, end++, 3));
    }

    return end;
}


/* Column `column` of the rows first .. end - 1 as the text of a PostgreSQL array. */
static void
write_array(char array[ARRAY_SIZE], const PGresult *due, int first, int end, int column)
{
    size_t n = 0;

    for (int i = first; i < end; i++) {
        n += (size_t) snprintf(array + n, ARRAY_SIZE - n, "%c%s", i == first ? '{' : ',',
                               PQgetvalue(due, i, column));
    }

    memcpy(array + n, "}", 2);
}


/* Another round audits this part. */
static void
give_up(link_t *peer, const char *unit)
{
    if (peer->pg == NULL) {
        peer_failed(unit, peer);
    } else {
        link_settle(peer);
    }
}


/* Audits one part; false when this unit's database failed. */
static bool
audit_part(link_t *local, peers_t *peers, const PGresult *due, int first, int end)
{
    const char *unit = PQgetvalue(due, first, 2);
    link_t     *peer = peer_link(peers, unit, local);
    char        moves[ARRAY_SIZE], users[ARRAY_SIZE], quoted[600];

    if (peer == NULL) {
        return local->pg != NULL;
    }

    write_array(moves, due, first, end, 0);
    write_array(users, due, first, end, 1);

    const char *asked[] = { users };

    failpoint_with(unit);
    FAILPOINT("audit.send", peer);

    PGresult *there =
        link_call(peer, "select coalesce(json_agg(h), '[]') from punit.holding($1) h", 1, asked);

    FAILPOINT("audit.answered", local);

    if (there == NULL) {
        give_up(peer, unit);
        return true;
    }

    const char *values[] = { moves, PQgetvalue(there, 0, 0) };
    PGresult   *rows = link_call(local,
                                 "select move_id, user_id, detail from punit.audit_close($1, $2) "
                                   "where audit = 'different'",
                                 2, values);

    PQclear(there);

    if (rows == NULL) {
        session_failed(local, "keep-failed", "audit");
        return false;
    }

    for (int i = 0; i < PQntuples(rows); i++) {
        punit_log(PUNIT_LOG_ERROR, "audit-different", "user=%s from=%s move=%s detail=%s",
                  PQgetvalue(rows, i, 1), unit, PQgetvalue(rows, i, 0),
                  punit_log_quote(quoted, sizeof(quoted), PQgetvalue(rows, i, 2)));
    }

    PQclear(rows);
    return true;
}


void
audit_due(link_t *local, peers_t *peers)
{
    PGresult *due =
        link_call(local, "select move_id, user_id, unit, n from punit.audit_due(" AFTER_S ")", 0,
                  NULL);

    if (due == NULL) {
        session_failed(local, "keep-failed", "audit");
        return;
    }

    for (int first = 0, end; first < PQntuples(due) && !stop_begun(); first = end) {
        int64_t began_ms = punit_clock_ms();

        end = part_of(due, first);

        if (!audit_part(local, peers, due, first, end)) {
            break;
        }

        /* No user waits for an audit, so it rests like a paced move. */
        int64_t rested_ms = punit_clock_ms() + queue_charge((double) began_ms);

        while (!stop_begun() && punit_clock_ms() < rested_ms) {
            poll(NULL, 0, REST_MS);
        }
    }

    PQclear(due);
}
