#include "mover/tend/keep.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/mover.h"
#include "mover/options.h"
#include "mover/stop.h"

#define AUDIT_MS 1000
#define CLEAR_MS 60000
#define SLICE_MS 200
#define RETRY_MS 200
#define REST_MS  10

/* A message that says that the old owner's copy may go on must not have overtaken the move's end.
 */
#define AUDIT_AFTER "1"

/* So many users at once, or so many rows: one statement at the old owner. */
#define AUDIT_USERS 50
#define AUDIT_ROWS  10000

#define TOMB_KEEP_S "2592000" /* 30 days */


static void
complain(link_t *local, const char *what)
{
    char quoted[600];

    punit_log(PUNIT_LOG_WARN, "keep-failed", "what=%s error=%s", what,
              punit_log_quote(quoted, sizeof(quoted), local->error));
    link_settle(local);
}


/* By unit, in the order of `due`: rows first .. end - 1 are one unit's. */
static int
part_of(const PGresult *due, int first)
{
    int  end = first;
    long rows = 0;

    while (end < PQntuples(due) && end - first < AUDIT_USERS && (end == first || rows < AUDIT_ROWS)
           && strcmp(PQgetvalue(due, end, 2), PQgetvalue(due, first, 2)) == 0)
    {
        rows += atol(PQgetvalue(due, end++, 3));
    }

    return end;
}


/* Compares what the old owner has of moved users with what was here right after ACTIVATE; false
 * when this unit's database failed. */
static bool
audit(link_t *local, peers_t *peers, const PGresult *due, int first, int end)
{
    const char *unit = PQgetvalue(due, first, 2);
    link_t     *peer = peer_link(peers, unit, local);
    char        moves[AUDIT_USERS * USER_SIZE + 2], users[AUDIT_USERS * USER_SIZE + 2], quoted[600];
    size_t      m = 0, u = 0;

    if (peer == NULL) {
        return local->pg != NULL;
    }

    for (int i = first; i < end; i++) {
        char before = i == first ? '{' : ',';

        m += (size_t) snprintf(moves + m, sizeof(moves) - m, "%c%s", before, PQgetvalue(due, i, 0));
        u += (size_t) snprintf(users + u, sizeof(users) - u, "%c%s", before, PQgetvalue(due, i, 1));
    }

    memcpy(moves + m, "}", 2);
    memcpy(users + u, "}", 2);

    const char *asked[] = { users };

    failpoint_with(unit);
    FAILPOINT("audit.send", peer);

    PGresult *there =
        link_call(peer, "select coalesce(json_agg(h), '[]') from punit.holding($1) h", 1, asked);

    FAILPOINT("audit.answered", local);

    if (there == NULL) {
        if (peer->pg == NULL) {
            peer_failed(unit, peer);
        } else {
            link_settle(peer);
        }

        return true;
    }

    const char *values[] = { moves, PQgetvalue(there, 0, 0) };
    PGresult   *rows = link_call(
          local,
          "select move_id, user_id, detail from punit.audit_close($1, $2) where audit = 'different'",
          2, values);

    PQclear(there);

    if (rows == NULL) {
        complain(local, "audit");
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


static void
audit_due(link_t *local, peers_t *peers)
{
    PGresult *due =
        link_call(local, "select move_id, user_id, unit, n from punit.audit_due(" AUDIT_AFTER ")",
                  0, NULL);

    if (due == NULL) {
        complain(local, "audit");
        return;
    }

    for (int first = 0, end; first < PQntuples(due) && !stopping(); first = end) {
        int64_t began_ms = punit_clock_ms();

        end = part_of(due, first);

        if (!audit(local, peers, due, first, end)) {
            break;
        }

        /* nobody waits for it */
        int64_t rested_ms = punit_clock_ms() + visitor_worked((double) began_ms);

        while (!stopping() && punit_clock_ms() < rested_ms) {
            poll(NULL, 0, REST_MS);
        }
    }

    PQclear(due);
}


/* A part at a time, each a transaction, so that no user's row is held for long. */
static void
clear_all(link_t *local, const char *what, const char *sql, const char *older_s)
{
    const char *values[] = { older_s };
    long        n = 0, more = 1;

    while (more > 0 && !stopping()) {
        FAILPOINT("clear.commit", local);

        PGresult *r = link_call(local, sql, 1, values);

        FAILPOINT("clear.committed", local);

        if (r == NULL) {
            complain(local, what);
            return;
        }

        more = atol(PQgetvalue(r, 0, 0));
        n += more;
        PQclear(r);
    }

    if (n > 0) {
        punit_log(PUNIT_LOG_INFO, what, "n=%ld", n);
    }
}


static void
clear_old(link_t *local)
{
    char older[32];

    failpoint_with("");
    snprintf(older, sizeof(older), "%.3f", (double) options.copy_keep_ms / 1000);
    clear_all(local, "tombstones-collected", "select punit.collect_tombs($1)", TOMB_KEEP_S);

    if (local->pg != NULL) {
        clear_all(local, "copies-evicted", "select punit.evict_copies($1)", older);
    }
}


void *
keep_run(void *unused)
{
    link_t   local = { .pg = NULL };
    peers_t *peers = peers_create();
    long     audited_at = punit_clock_ms(), cleared_at = 0;
    long     clear_ms = options.copy_keep_ms < CLEAR_MS ? options.copy_keep_ms : CLEAR_MS;

    (void) unused;

    while (peers != NULL && !stopping()) {
        poll(NULL, 0, SLICE_MS);

        if (!link_ready(&local)) {
            link_close(&local);

            if (!local_open(&local)) {
                link_close(&local);
                poll(NULL, 0, RETRY_MS);
                continue;
            }
        }

        if (punit_clock_ms() - audited_at >= AUDIT_MS) {
            audited_at = punit_clock_ms();
            audit_due(&local, peers);
        }

        if (link_ready(&local) && punit_clock_ms() - cleared_at >= clear_ms) {
            cleared_at = punit_clock_ms();
            clear_old(&local);
        }
    }

    if (peers != NULL) {
        peers_destroy(peers);
    }

    link_close(&local);
    return NULL;
}
