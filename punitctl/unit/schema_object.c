#include "punitctl/unit/schema_object.h"

#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"

/* All objects of the kinds that belong into functions/, and the tables, which do not. A row of the
 * catalogue that a file has touched has another xmin, since each file runs in a savepoint. */
#define NOW                                                                                        \
    "(select 'pg_proc'::regclass as class, 'function' as kind, p.oid, p.xmin::text as stamp"       \
    "   from pg_proc p where p.pronamespace::regnamespace::text"                                   \
    "        not in ('pg_catalog', 'information_schema', 'pg_temp')"                               \
    "    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass"            \
    "                       and d.objid = p.oid and d.deptype = 'e')"                              \
    " union all"                                                                                   \
    " select 'pg_class'::regclass, case when c.relkind = 'v' then 'view' else 'table' end, c.oid," \
    "        case when c.relkind = 'v' then c.xmin::text else '' end"                              \
    "   from pg_class c where c.relkind in ('v', 'r', 'p', 'm', 'S', 'f')"                         \
    "    and c.relpersistence <> 't' and c.relnamespace::regnamespace::text"                       \
    "        not in ('pg_catalog', 'information_schema', 'pg_toast')"                              \
    "    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass"           \
    "                       and d.objid = c.oid and d.deptype = 'e')"                              \
    " union all"                                                                                   \
    " select 'pg_trigger'::regclass, 'trigger', t.oid, t.xmin::text from pg_trigger t"             \
    "  where not t.tgisinternal"                                                                   \
    " union all"                                                                                   \
    " select 'pg_event_trigger'::regclass, 'event trigger', e.oid, e.xmin::text"                   \
    "   from pg_event_trigger e)"

#define IDENTITY "(pg_identify_object(n.class, n.oid, 0)).identity"

static const char begin_sql[] =
    "create temporary table schema_seen (kind text, oid oid, stamp text, primary key (kind, oid))"
    " on commit drop;"
    "create temporary table schema_made (kind text, identity text, file text,"
    " primary key (kind, identity, file)) on commit drop;"
    "create temporary table schema_dropped (kind text, identity text) on commit drop;"
    "create temporary table schema_left (kind text, identity text, file text) on commit drop;"
    "create temporary table schema_tree (file text primary key) on commit drop;"
    "create function pg_temp.there(p_kind text, p_identity text) returns boolean language sql as"
    " $$ select exists (select from " NOW " n where n.kind = p_kind and " IDENTITY
    " = p_identity) $$;";

static const char watch_sql[] =
    "delete from schema_seen;"
    "insert into schema_seen select n.kind, n.oid, n.stamp from " NOW " n;";


static bool
run(PGconn *db, const char *script)
{
    PGresult *result = PQexec(db, script);
    bool      ok =
        PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

    if (!ok) {
        output_problem("statement-failed", "%s", PQerrorMessage(db));
    }
    PQclear(result);
    return ok;
}


static bool
run_for(PGconn *db, const char *statement, const char *file)
{
    return database_run(db, statement, 1, (const char *const[]){ file });
}


bool
schema_object_begin(PGconn *db, const schema_files_t *files)
{
    if (!run(db, begin_sql)) {
        return false;
    }
    for (size_t i = 0; i < files->count; i++) {
        if (!run_for(db, "insert into schema_tree values ($1)", files->file[i].name)) {
            return false;
        }
    }
    return run(db, "create temporary table schema_missing on commit drop as"
                   " select distinct o.file from punit.schema_object o"
                   " left join (select n.kind, " IDENTITY " from " NOW " n) x"
                   " using (kind, identity) where x.kind is null;"
                   "insert into schema_left select o.kind, o.identity, o.file"
                   " from punit.schema_object o"
                   " where not exists (select from schema_tree t where t.file = o.file)");
}


bool
schema_object_missing(PGconn *db, const char *file)
{
    return database_value(db, "select 1 from schema_missing where file = $1", 1,
                          (const char *const[]){ file })
           != NULL;
}


bool
schema_object_reset(PGconn *db, const char *file)
{
    static const char reset[] =
        "do $$ declare o record; g record; begin"
        " for o in select x.kind, x.identity, case when x.kind = 'function' then 'routine'"
        "  else x.kind end as word from punit.schema_object x"
        "  where x.file = current_setting('punit.file') and pg_temp.there(x.kind, x.identity) loop"
        "  execute format('comment on %s %s is null', o.word, o.identity);"
        "  if o.kind = 'function' then"
        "   for g in select distinct a.grantee, r.rolname from pg_proc p"
        "     cross join aclexplode(p.proacl) a left join pg_roles r on r.oid = a.grantee"
        "    where p.oid = o.identity::regprocedure and a.grantee <> p.proowner loop"
        "    execute format('revoke all on routine %s from %s', o.identity,"
        "                   coalesce(quote_ident(g.rolname), 'public'));"
        "   end loop;"
        "  elsif o.kind = 'view' then"
        "   for g in select distinct a.grantee, r.rolname from pg_class c"
        "     cross join aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee"
        "    where c.oid = o.identity::regclass and a.grantee <> c.relowner loop"
        "    execute format('revoke all on %s from %s', o.identity,"
        "                   coalesce(quote_ident(g.rolname), 'public'));"
        "   end loop;"
        "  end if;"
        " end loop; end $$";

    return run_for(db,
                   "insert into schema_left select o.kind, o.identity, o.file"
                   " from punit.schema_object o where o.file = $1",
                   file)
           && run_for(db, "select set_config('punit.file', $1, true)", file) && run(db, reset);
}


bool
schema_object_watch(PGconn *db)
{
    return run(db, watch_sql);
}


bool
schema_object_made(PGconn *db, const char *file)
{
    const char *table, *other;

    other = database_value(db,
                           "select n.kind || ' ' || " IDENTITY " from " NOW " n"
                           " join schema_seen s using (kind, oid)"
                           " where s.stamp is distinct from n.stamp and n.kind <> 'table'"
                           " and not exists (select from punit.schema_object o"
                           "   where o.kind = n.kind and o.identity = " IDENTITY ")"
                           " and not exists (select from schema_made m"
                           "   where m.kind = n.kind and m.identity = " IDENTITY ")",
                           0, NULL);
    if (other != NULL) {
        output_problem("schema", "%s changes %s, which no file of functions/ made", file, other);
        return false;
    }
    if (!run_for(db,
                 "insert into schema_made select n.kind, " IDENTITY ", $1 from " NOW " n"
                 " left join schema_seen s using (kind, oid) where s.stamp is distinct from n.stamp"
                 " on conflict do nothing",
                 file))
    {
        return false;
    }
    table = database_value(db, "select identity from schema_made where kind = 'table'", 0, NULL);
    if (table != NULL) {
        output_problem("schema", "%s makes %s: tables belong into tables/", file, table);
        return false;
    }
    return schema_object_watch(db);
}


/* Drops one object. `kept` says why it stays, if something depends on it. */
static bool
drop_one(PGconn *db, const char *const *values, bool *dropped, const char **kept)
{
    bool        ok = run(db, "savepoint dropped");
    const char *kind = strcmp(values[0], "function") == 0 ? "routine" : values[0];
    PGresult   *result = PQexec(db, pool_printf("drop %s %s", kind, values[1]));

    *dropped = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (*dropped) {
        ok = ok && run(db, "release savepoint dropped")
             && database_run(db, "insert into schema_dropped values ($1, $2)", 2, values);
    } else {
        const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

        *kept = pool_printf("%s%s%s%s", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
                            detail != NULL ? " (" : "", detail != NULL ? detail : "",
                            detail != NULL ? ")" : "");
        ok = ok && run(db, "rollback to savepoint dropped");
    }
    PQclear(result);
    return ok;
}


/* Drops each object of a query (kind, identity) by itself, again and again while one goes: one may
 * depend on another. What something else depends on stays. */
static bool
drop_each(PGconn *db, const char *query, const char *file, const char **kept)
{
    PGresult *rows = database_query(db, NULL, query, file != NULL, &file);
    int       count = rows != NULL ? PQntuples(rows) : 0;
    bool     *gone = pool_alloc(((size_t) count + 1) * sizeof(*gone));
    bool      ok = rows != NULL, progress = true;

    while (ok && progress) {
        progress = false;
        *kept = NULL;
        for (int row = 0; ok && row < count; row++) {
            const char *values[] = { PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1) };

            if (!gone[row]) {
                ok = drop_one(db, values, &gone[row], kept);
                progress = progress || gone[row];
            }
        }
    }
    PQclear(rows);
    return ok;
}


bool
schema_object_drop_of(PGconn *db, const char *file, const char **kept)
{
    return drop_each(db,
                     "select kind, identity from punit.schema_object"
                     " where file = $1 and pg_temp.there(kind, identity)"
                     " order by kind = 'function', kind, identity",
                     file, kept)
           && schema_object_watch(db);
}


bool
schema_object_drop_left(PGconn *db, bool last)
{
    static const char left[] =
        "select distinct l.kind, l.identity, l.kind = 'function' from schema_left l"
        " where pg_temp.there(l.kind, l.identity)"
        "   and (not exists (select from schema_tree t where t.file = l.file)"
        "        or exists (select from schema_made m where m.file = l.file)"
        "        or exists (select from punit.schema_file f where f.name = l.file"
        "                      and f.applied_at >= transaction_timestamp()))"
        "   and not exists (select from schema_made m"
        "                    where m.kind = l.kind and m.identity = l.identity)"
        " order by 3, 1, 2";
    const char *kept = NULL;

    if (!drop_each(db, left, NULL, &kept)) {
        return false;
    }
    if (last && kept != NULL) {
        output_problem("schema", "%s", kept);
        return false;
    }
    return schema_object_watch(db);
}


PGresult *
schema_object_validators(PGconn *db)
{
    return database_query(
        db, NULL,
        "select m.file, format('select %s(%s)', l.lanvalidator::regproc, p.oid)"
        " from schema_made m join pg_proc p on p.oid = to_regprocedure(m.identity)"
        " join pg_language l on l.oid = p.prolang"
        " where m.kind = 'function' and p.prosqlbody is null"
        " and l.lanname in ('sql', 'plpgsql') order by 1, p.oid",
        0, NULL);
}


bool
schema_object_record(PGconn *db)
{
    PGresult *twice = database_query(
        db, NULL,
        "select m.kind || ' ' || replace(m.identity, 'pg_catalog.', ''), min(m.file), max(m.file)"
        " from (select * from schema_made"
        "   union select o.kind, o.identity, o.file from punit.schema_object o"
        "    where not exists (select from schema_left l where l.file = o.file)) m"
        " group by 1 having count(*) > 1 order by 1",
        0, NULL);
    bool ok = twice != NULL && PQntuples(twice) == 0;

    for (int row = 0; twice != NULL && row < PQntuples(twice); row++) {
        output_problem("schema", "both %s and %s make or change %s", PQgetvalue(twice, row, 1),
                       PQgetvalue(twice, row, 2), PQgetvalue(twice, row, 0));
    }
    PQclear(twice);
    return ok
           && run(db, "delete from punit.schema_object o"
                      " where exists (select from schema_left l where l.file = o.file);"
                      "delete from punit.schema_file f where f.name like 'functions/%'"
                      " and not exists (select from schema_tree t where t.file = f.name);"
                      "insert into punit.schema_object (kind, identity, file)"
                      " select m.kind, m.identity, m.file from schema_made m");
}


bool
schema_object_dropped(PGconn *db, const char ***names, size_t *count)
{
    PGresult *rows =
        database_query(db, NULL,
                       "select distinct d.kind || ' ' || replace(d.identity, 'pg_catalog.', '')"
                       " from schema_dropped d"
                       " where not pg_temp.there(d.kind, d.identity) order by 1",
                       0, NULL);

    if (rows == NULL) {
        return false;
    }
    *count = (size_t) PQntuples(rows);
    *names = pool_alloc((*count + 1) * sizeof **names);
    for (int row = 0; row < PQntuples(rows); row++) {
        (*names)[row] = pool_printf("%s", PQgetvalue(rows, row, 0));
    }
    PQclear(rows);
    return true;
}
