#include "punitctl/mesh/mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/unit/database.h"
#include "punitctl/wait.h"

#define REFUSED_AT DATABASE_TIME("f.last_at")

/* `incoming` is the subscription here, `outgoing` the slot that the peer reads from here. An apply
 * worker that meets an error ends and is started again, so a young worker with errors is failing.
 */
static const char state_query[] =
    "select p.id as peer,"
    " case when s.oid is null then 'none'"
    "      when not s.subenabled then 'disabled'"
    "      when e.apply_error_count + e.sync_error_count > 0"
    "           and (a.pid is null"
    "                or a.backend_start > now() - interval '10 s')"
    "           then 'failing'"
    "      when w.pid is null then 'down'"
    "      when r.left > 0 then 'copying'"
    "      else 'ok' end as incoming,"
    " coalesce(r.left, 0) as tables_left,"
    " round(extract(epoch from clock_timestamp() - w.last_msg_receipt_time)"
    "       ::numeric, 1) as heard_s,"
    " coalesce(e.apply_error_count, 0) as apply_errors,"
    " coalesce(e.sync_error_count, 0) as copy_errors,"
    " case when l.slot_name is null then 'none'"
    "      when l.wal_status = 'lost' then 'lost'"
    "      when not l.active then 'away'"
    "      else 'ok' end as outgoing,"
    " pg_wal_lsn_diff(pg_current_wal_lsn(), l.confirmed_flush_lsn)::bigint"
    "      as behind_bytes,"
    " l.safe_wal_size as room_bytes,"
    " f.n as refused, f.rule as refused_rule,"
    " " REFUSED_AT " as refused_at"
    " from punit.peer p"
    " left join pg_subscription s on s.subname = 'punit_from_' || p.id"
    " left join pg_stat_subscription w on w.subid = s.oid and w.relid is null"
    " left join pg_stat_activity a on a.pid = w.pid"
    " left join pg_stat_subscription_stats e on e.subid = s.oid"
    " left join lateral (select count(*) as left from pg_subscription_rel x"
    "      where x.srsubid = s.oid and x.srsubstate <> 'r') r on true"
    " left join pg_replication_slots l"
    "      on l.slot_name = 'punit_to_' || replace(p.id, '-', '_')"
    " left join lateral (select coalesce(sum(x.n), 0)::bigint as n, max(x.last_at) as last_at,"
    "      (array_agg(x.source || ' ' || x.rule order by x.last_at desc))[1] as rule"
    "      from punit.refusals x where x.peer = p.id) f on true"
    " order by p.id";


static json_t *
number_or_null(const char *value)
{
    return value != NULL ? json_real(strtod(value, NULL)) : json_null();
}


static json_t *
whole_or_null(const char *value)
{
    return value != NULL ? json_integer(strtoll(value, NULL, 10)) : json_null();
}


json_t *
mesh_state(PGconn *db)
{
    PGresult *rows = database_query(db, NULL, state_query, 0, NULL);
    json_t   *peers;

    if (rows == NULL) {
        return NULL;
    }
    peers = json_array();
    for (int i = 0; i < PQntuples(rows); i++) {
        json_array_append_new(
            peers, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:s?, s:s?}",
                             "peer", database_field(rows, i, "peer"), "incoming",
                             database_field(rows, i, "incoming"), "tables_left",
                             whole_or_null(database_field(rows, i, "tables_left")), "heard_s",
                             number_or_null(database_field(rows, i, "heard_s")), "apply_errors",
                             whole_or_null(database_field(rows, i, "apply_errors")), "copy_errors",
                             whole_or_null(database_field(rows, i, "copy_errors")), "outgoing",
                             database_field(rows, i, "outgoing"), "behind_bytes",
                             whole_or_null(database_field(rows, i, "behind_bytes")), "room_bytes",
                             whole_or_null(database_field(rows, i, "room_bytes")), "refused",
                             whole_or_null(database_field(rows, i, "refused")), "refused_rule",
                             database_field(rows, i, "refused_rule"), "refused_at",
                             database_field(rows, i, "refused_at")));
    }
    PQclear(rows);
    return peers;
}


json_t *
mesh_refusals(PGconn *db)
{
    static const char query[] = "select peer, source, rule, n, " DATABASE_TIME(
        "first_at") " as since,"
                    " " DATABASE_TIME(
                        "last_at") " as last_at,"
                                   " rule <> 'not-a-peer'"
                                   " and last_at > now() - interval '" MESH_ALARM "' as alarm"
                                   " from punit.refusals order by last_at desc, peer, source, rule";
    PGresult *rows = database_query(db, NULL, query, 0, NULL);
    json_t   *all = rows != NULL ? json_array() : NULL;

    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:o, s:s?, s:s, s:b}", "peer",
                                             database_field(rows, i, "peer"), "source",
                                             database_field(rows, i, "source"), "rule",
                                             database_field(rows, i, "rule"), "n",
                                             whole_or_null(database_field(rows, i, "n")), "since",
                                             database_field(rows, i, "since"), "last_at",
                                             database_field(rows, i, "last_at"), "alarm",
                                             strcmp(database_field(rows, i, "alarm"), "t") == 0));
    }
    PQclear(rows);
    return all;
}


void
mesh_print_refusals(const json_t *refusals)
{
    json_t *one;
    size_t  i;

    json_array_foreach((json_t *) (void *) refusals, i, one)
    {
        const char *since = output_value(one, "since");

        printf("%-12s  peer %s, %s %s: %s%s%s, last %s\n",
               json_is_true(json_object_get(one, "alarm")) ? "ALARM" : "refused",
               output_value(one, "peer"), output_value(one, "source"), output_value(one, "rule"),
               output_value(one, "n"), since != NULL ? " since " : "", since != NULL ? since : "",
               output_value(one, "last_at"));
    }
}


bool
mesh_good(const json_t *peers)
{
    size_t  i;
    json_t *peer;

    json_array_foreach((json_t *) (void *) peers, i, peer)
    {
        if (strcmp(output_value(peer, "incoming"), "ok") != 0
            || strcmp(output_value(peer, "outgoing"), "ok") != 0)
        {
            return false;
        }
    }
    return true;
}


void
mesh_print(const json_t *peers)
{
    static const char *const columns[] = {
        "peer",     "incoming",     "tables_left", "heard_s", "apply_errors", "copy_errors",
        "outgoing", "behind_bytes", "room_bytes",  "refused", "refused_rule", "refused_at",
    };
    output_objects(peers, columns, sizeof(columns) / sizeof(*columns));
}


typedef struct {
    PGconn     *db;
    const char *lsn;
} arrival_t;


/* True when every peer has confirmed all writes up to the LSN. */
static bool
arrived(void *context)
{
    static const char query[] =
        "select count(*) from punit.peer p left join pg_replication_slots l"
        " on l.slot_name = 'punit_to_' || replace(p.id, '-', '_')"
        " where l.confirmed_flush_lsn is null or l.confirmed_flush_lsn < $1::pg_lsn";
    const arrival_t *arrival = context;
    const char      *left = database_value(arrival->db, query, 1, &arrival->lsn);

    return left != NULL && strcmp(left, "0") == 0;
}


bool
mesh_arrive(PGconn *db, double seconds, const char **lsn)
{
    arrival_t arrival = {
        .db = db,
        .lsn = database_value(db, "select pg_current_wal_lsn()", 0, NULL),
    };

    if (lsn != NULL) {
        *lsn = arrival.lsn;
    }
    return arrival.lsn != NULL && wait_until(arrived, &arrival, seconds);
}
