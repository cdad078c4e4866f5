#include "punitctl/mesh/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pg/conninfo.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/wait.h"

#define SLOT_SECONDS 20


subscription_t
subscription_to(const unit_t *unit, const char *id, const char *pg)
{
    return (subscription_t){
        .id = id,
        .pg = pg,
        .name = pool_printf("punit_from_%s", id),
        /* A slot's name allows no hyphen, a unit's id no underscore. */
        .slot = pool_printf("punit_to_%s", pool_replace(unit->id, '-', '_')),
        .publications = pool_printf("punit_reference, \"punit_messages_%s\"", unit->id),
        .unit = unit->id,
    };
}


bool
subscription_exists(PGconn *db, const char *name)
{
    return database_value(db, "select 1 from pg_subscription where subname = $1", 1, &name) != NULL;
}


/* PostgreSQL 17 can keep a slot at the standby of its server too, so that the mesh goes on after a
 * failover of the peer. The peer makes such a slot, and the subscription here has to say the same.
 */
static bool
survives_failover(const PGconn *here, const PGconn *there)
{
    return PQserverVersion(here) >= 170000 && PQserverVersion(there) >= 170000;
}


static const char *
streaming_role(const unit_t *unit)
{
    return pool_printf("punit_stream_%s", unit->id);
}


static const char *
conninfo_as(const subscription_t *s, const char *role)
{
    char       *conninfo = punit_conninfo_as(s->pg, role);
    const char *copy = conninfo != NULL ? pool_printf("%s", conninfo) : s->pg;

    free(conninfo);
    return copy;
}


/* How the subscription reaches the peer: by the role that streams, if the peer lets it in; else by
 * the role of all calls, as in release 0.2.0. The peer has the role once `punitctl schema` has run
 * there, and lets it in once `punitctl unit init` has. `there` is a session of the role of all
 * calls. */
static const char *
streaming_conninfo(const unit_t *unit, PGconn *there, const subscription_t *s)
{
    const char *role = streaming_role(unit);
    const char *conninfo = conninfo_as(s, role);
    const char *reason;
    PGconn     *stream;

    if (database_value(there, "select 1 from pg_roles where rolname = $1", 1, &role) == NULL) {
        output_line("peer %s knows no role %s yet; `punitctl schema` there, then `punitctl mesh"
                    " join` here",
                    s->id, role);
        return s->pg;
    }
    stream = database_open_peer(conninfo, &reason);
    if (stream == NULL) {
        output_line("peer %s does not let %s in (%s); `punitctl unit init` there, then `punitctl"
                    " mesh join` here",
                    s->id, role, reason);
        return s->pg;
    }
    PQfinish(stream);
    return conninfo;
}


/* Tells the peer that the role of all calls streams no more. A failure is no harm: the next call
 * tells it again. */
static void
leave_replication(PGconn *there)
{
    const char *ignored;

    PQclear(database_query(there, &ignored,
                           "select punit.leave_replication() from pg_roles"
                           " where rolname = session_user and rolreplication",
                           0, NULL));
}


/* The slot, as release 0.2.0 lets its peers make one. `*dropped`: an old one was. */
static bool
make_slot_as_caller(PGconn *there, const subscription_t *s, bool failover, bool *dropped)
{
    const char *old = database_value(there,
                                     "select count(pg_drop_replication_slot(slot_name)) > 0"
                                     " from pg_replication_slots where slot_name = $1"
                                     " and not active",
                                     1, (const char *const[]){ s->slot });

    *dropped = old != NULL && old[0] == 't';
    return old != NULL
           && database_value(there,
                             pool_printf("select slot_name from"
                                         " pg_create_logical_replication_slot($1, 'pgoutput'%s)",
                                         failover ? ", failover => true" : ""),
                             1, (const char *const[]){ s->slot })
                  != NULL;
}


/* A command of replication, which PostgreSQL takes in its simple protocol alone. */
static bool
stream_run(PGconn *stream, const char *command)
{
    PGresult *result = PQexec(stream, command);
    bool      ok =
        PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

    if (!ok) {
        output_problem("statement-failed", "%s", PQerrorMessage(stream));
    }
    PQclear(result);
    return ok;
}


/* The slot, by the role that streams: it may make this one. */
static bool
make_slot(const char *conninfo, PGconn *there, const subscription_t *s, bool failover,
          bool *dropped)
{
    const char *reason;
    const char *old = database_value(there,
                                     "select 1 from pg_replication_slots where slot_name = $1"
                                     " and not active",
                                     1, (const char *const[]){ s->slot });
    PGconn *stream = database_open_peer(pool_printf("%s replication=database", conninfo), &reason);
    bool    made;

    if (stream == NULL) {
        output_problem("peer-unreachable", "peer %s: %s", s->id, reason);
        return false;
    }
    *dropped = old != NULL;
    made = (old == NULL || stream_run(stream, pool_printf("DROP_REPLICATION_SLOT %s", s->slot)))
           && stream_run(stream, pool_printf("CREATE_REPLICATION_SLOT %s LOGICAL pgoutput"
                                             " (%sSNAPSHOT 'nothing')",
                                             s->slot, failover ? "FAILOVER, " : ""));
    PQfinish(stream);
    return made;
}


/* Makes the slot apart from the subscription. `create subscription` would hold a transaction open
 * here while it waits for open transactions at the peer, so two units that join at the same time
 * would wait for each other. An old slot, whose subscription is gone here, is dropped first: it
 * keeps WAL and occupies the name. Sets how the subscription is to reach the peer. */
static bool
prepare(const unit_t *unit, PGconn *db, const subscription_t *s, bool *failover,
        const char **conninfo)
{
    const char *reason, *incarnation;
    PGconn     *there = database_open_peer(s->pg, &reason);
    bool        made = false, dropped = false;

    if (there == NULL) {
        output_problem(
            "peer-unreachable",
            "peer %s: %s; see whether it runs and knows this unit (`punitctl unit add` there)",
            s->id, reason);
        return false;
    }
    incarnation = database_value(there, "select incarnation from punit.me", 0, NULL);
    if (incarnation == NULL
        || database_value(db,
                          "select 1 from punit.unit u where u.id = $1"
                          " and u.incarnation = $2 and u.retired_at is not null"
                          /* A peer alone says so: its own row here does not. */
                          " and not exists (select from punit.unit o where o.origin_unit = $1"
                          " and o.id = $1 and o.incarnation = $2 and o.retired_at is null)",
                          2, (const char *const[]){ s->id, incarnation })
               != NULL)
    {
        /* The rows it wrote have another author now. */
        output_problem("refused",
                       "peer %s is the unit that was removed; it comes again only as"
                       " a new one (remove its directory, `punitctl unit init`)",
                       s->id);
    } else {
        *failover = survives_failover(db, there);
        *conninfo = streaming_conninfo(unit, there, s);
        if (*conninfo == s->pg) {
            made = make_slot_as_caller(there, s, *failover, &dropped);
        } else {
            made = make_slot(*conninfo, there, s, *failover, &dropped);
            leave_replication(there);
        }
    }
    PQfinish(there);
    if (dropped) {
        output_line("peer %s: dropped an old slot there", s->id);
    }
    return made;
}


/* The tables of an array that no peer may bring here. "": none. NULL with the reason printed. */
static const char *
foreign_of(PGconn *db, const subscription_t *s, const char *tables)
{
    return database_value(db,
                          "select coalesce(string_agg(t.tab, ', ' order by t.tab), '')"
                          " from unnest($1::text[]) t (tab)"
                          " where not exists (select from punit.mesh_plan($2, $3) m"
                          " where m.tab = to_regclass(t.tab))",
                          3, (const char *const[]){ tables, s->id, s->unit });
}


static void
say_foreign(const subscription_t *s, const char *foreign, const char *what)
{
    output_problem("refused",
                   "peer %s publishes %s, which the mesh does not bring here (%s); if its schema is"
                   " newer, first `punitctl schema` here. Otherwise ask at %s who changed its"
                   " publications",
                   s->id, foreign, what, s->id);
}


/* The peer names the tables of its publications, but this unit decides which it subscribes to. The
 * subscription's owner can write no others in any case. */
bool
subscription_allowed(PGconn *db, const subscription_t *s)
{
    const char *reason;
    PGconn     *there = database_open_peer(s->pg, &reason);
    const char *tables, *foreign;

    if (there == NULL) {
        output_problem("peer-unreachable", "peer %s: %s", s->id, reason);
        return false;
    }
    tables = database_value(there,
                            "select coalesce(array_agg(distinct format('%I.%I', schemaname,"
                            " tablename)), '{}') from pg_catalog.pg_publication_tables"
                            " where pubname in ('punit_reference', 'punit_messages_' || $1)",
                            1, &s->unit);
    PQfinish(there);
    foreign = tables != NULL ? foreign_of(db, s, tables) : NULL;
    if (foreign != NULL && *foreign != '\0') {
        say_foreign(s, foreign, "nothing was changed");
    }
    return foreign != NULL && *foreign == '\0';
}


/* The peer may have changed its publications meanwhile. */
static bool
subscribes_ours(PGconn *db, const subscription_t *s)
{
    const char *tables =
        database_value(db,
                       "select coalesce(array_agg(format('%I.%I', n.nspname, c.relname)), '{}')"
                       " from pg_subscription b join pg_subscription_rel r on r.srsubid = b.oid"
                       " join pg_class c on c.oid = r.srrelid"
                       " join pg_namespace n on n.oid = c.relnamespace where b.subname = $1",
                       1, &s->name);
    const char *foreign = tables != NULL ? foreign_of(db, s, tables) : NULL;

    if (foreign != NULL && *foreign != '\0') {
        subscription_drop(db, s->name);
        say_foreign(s, foreign, "the subscription was dropped");
    }
    return foreign != NULL && *foreign == '\0';
}


/* One transaction: no row of the peer is applied by another role than the peer's. */
static bool
create_owned(PGconn *db, const subscription_t *s, const char *conninfo, bool failover)
{
    if (database_run(db, "begin", 0, NULL)
        && database_run(
            db,
            pool_printf("create subscription %s connection %s publication %s"
                        " with (copy_data = true, create_slot = false, slot_name = %s%s)",
                        database_name(db, s->name), database_literal(db, conninfo), s->publications,
                        database_literal(db, s->slot), failover ? ", failover = true" : ""),
            0, NULL)
        && database_value(db, "select punit.own_subscription($1)", 1, &s->id) != NULL)
    {
        return database_run(db, "commit", 0, NULL);
    }
    database_run(db, "rollback", 0, NULL);
    return false;
}


bool
subscription_create(const unit_t *unit, PGconn *db, const subscription_t *s)
{
    const char *rows, *conninfo;
    bool        failover;

    if (!subscription_allowed(db, s) || !prepare(unit, db, s, &failover, &conninfo)) {
        return false;
    }
    /* The copy would fail on the keys of rows that are here. */
    rows = database_value(db, "select punit.forget_origin($1)", 1, (const char *const[]){ s->id });
    if (rows == NULL || !create_owned(db, s, conninfo, failover) || !subscribes_ours(db, s)) {
        return false;
    }
    if (strcmp(rows, "0") != 0) {
        output_line("peer %s: %s of its rows were here and are copied again", s->id, rows);
    }
    output_line("peer %s: subscribed, copying", s->id);
    return true;
}


/* A subscription from before both sides had PostgreSQL 17. Its slot may change only while nobody
 * reads it. Leaves the subscription disabled. */
static bool
ask_for_failover(PGconn *db, const subscription_t *s)
{
    const char *name = database_name(db, s->name);
    const char *reason;
    PGconn     *there;
    bool        possible;

    if (PQserverVersion(db) < 170000
        || database_value(db,
                          "select 1 from pg_subscription where subname = $1 and not subfailover", 1,
                          &s->name)
               == NULL)
    {
        return true;
    }
    there = database_open_peer(s->pg, &reason);
    if (there == NULL) {
        return true; /* the next call finds it */
    }
    possible = survives_failover(db, there);
    PQfinish(there);
    return !possible
           || (database_run(db, pool_printf("alter subscription %s disable", name), 0, NULL)
               && subscription_wait_slot(s, SLOT_SECONDS)
               && database_run(db, pool_printf("alter subscription %s set (failover = true)", name),
                               0, NULL));
}


/* A subscription that streams by the role for it goes on so, whatever the peer answers now. */
static bool
set_conninfo(const unit_t *unit, PGconn *db, const subscription_t *s)
{
    const char *role = streaming_role(unit);
    const char *reason, *conninfo = s->pg;
    PGconn     *there = database_open_peer(s->pg, &reason);
    bool        set;

    if (database_value(db,
                       "select 1 from pg_subscription where subname = $1"
                       " and strpos(subconninfo, 'user=' || $2) > 0",
                       2, (const char *const[]){ s->name, role })
        != NULL)
    {
        conninfo = conninfo_as(s, role);
    } else if (there != NULL) {
        conninfo = streaming_conninfo(unit, there, s);
    }
    set = database_run(db,
                       pool_printf("alter subscription %s connection %s",
                                   database_name(db, s->name), database_literal(db, conninfo)),
                       0, NULL);
    if (set && there != NULL && conninfo != s->pg) {
        leave_replication(there);
    }
    PQfinish(there);
    return set;
}


bool
subscription_refresh(const unit_t *unit, PGconn *db, const subscription_t *s)
{
    const char *name = database_name(db, s->name);
    bool        asked;

    if (!subscription_allowed(db, s)) {
        return false;
    }
    if (database_value(db, "select punit.own_subscription($1)", 1, &s->id) == NULL
        || !set_conninfo(unit, db, s))
    {
        output_problem("statement-failed", "peer %s: cannot refresh its subscription", s->id);
        return false;
    }
    asked = ask_for_failover(db, s);
    if (!database_run(db, pool_printf("alter subscription %s enable", name), 0, NULL) || !asked
        || !database_run(db,
                         pool_printf("alter subscription %s set publication %s", name,
                                     s->publications),
                         0, NULL))
    {
        output_problem("statement-failed", "peer %s: cannot refresh its subscription", s->id);
        return false;
    }
    if (!subscribes_ours(db, s)) {
        return false;
    }
    output_line("peer %s was subscribed to; refreshed", s->id);
    return true;
}


/* True when every table of the subscriptions has been copied. */
static bool
copied(void *context)
{
    PGconn     *db = context;
    const char *left =
        database_value(db,
                       "select count(*) from pg_subscription_rel r"
                       " join pg_subscription s on s.oid = r.srsubid"
                       " where s.subname like 'punit\\_from\\_%' and r.srsubstate <> 'r'",
                       0, NULL);

    if (left != NULL) {
        output_progress("%s tables of the peers are still to be copied", left);
    }
    return left != NULL && strcmp(left, "0") == 0;
}


int
subscription_wait_copied(const unit_t *unit, PGconn *db, double seconds)
{
    int keys;

    if (!wait_until(copied, db, seconds)) {
        return output_problem(
            "timed-out", "not all copied within %g s; `punitctl mesh status` shows what is missing",
            seconds);
    }
    output_line("all tables of the peers are copied");
    return keys_sync(unit, &keys) ? EXIT_OK : EXIT_FAILED;
}


bool
subscription_drop(PGconn *db, const char *name)
{
    const char *quoted = database_name(db, name);

    return database_run(db, pool_printf("alter subscription %s disable", quoted), 0, NULL)
           && database_run(db, pool_printf("alter subscription %s set (slot_name = none)", quoted),
                           0, NULL)
           && database_run(db, pool_printf("drop subscription %s", quoted), 0, NULL);
}


/* The peer's walsender needs a moment to notice that its reader left. */
static bool
slot_free(void *context)
{
    const subscription_t *s = context;
    const char           *reason;
    PGconn               *there = database_open_peer(s->pg, &reason);
    const char           *active;

    if (there == NULL) {
        return false;
    }
    active = database_value(there,
                            "select count(*) from pg_replication_slots"
                            " where slot_name = $1 and active",
                            1, (const char *const[]){ s->slot });
    PQfinish(there);
    return active != NULL && strcmp(active, "0") == 0;
}


bool
subscription_wait_slot(const subscription_t *s, double seconds)
{
    return wait_until(slot_free, (void *) s, seconds);
}
