#include "punitctl/unit/schema.h"

#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/schema_object.h"
#include "punitctl/unit/schema_tree.h"
#include "punitctl/unit/sql_script.h"

typedef struct {
    PGconn              *db;
    const schema_tree_t *tree;
    bool                 dry;
    bool                 fresh; /* nothing of punit is in the database yet */
    const char          *known_version;
    const char         **applied; /* names, in order */
    size_t               napplied;
} upgrade_t;


/* The digest that a file had when it was applied here; NULL: it was not. */
static const char *
known_sha256(const upgrade_t *upgrade, const char *name)
{
    return upgrade->fresh
               ? NULL
               : database_value(upgrade->db, "select sha256 from punit.schema_file where name = $1",
                                1, (const char *const[]){ name });
}


static bool
record(upgrade_t *upgrade, const schema_file_t *file)
{
    const char *values[] = { file->name, file->sha256 };

    upgrade->applied[upgrade->napplied++] = file->name;
    return database_run(upgrade->db,
                        "insert into punit.schema_file (name, sha256) values ($1, $2)"
                        " on conflict (name) do update"
                        " set sha256 = excluded.sha256, applied_at = excluded.applied_at",
                        2, values);
}


/* The lock, the settings of this transaction, and whether these files may be applied here. */
static bool
begin(upgrade_t *upgrade, const char *unit)
{
    PGconn *db = upgrade->db;

    /* One upgrade at a time: the lock comes before the snapshot. In one snapshot the catalogue
     * shows what this transaction makes and nothing that another session makes meanwhile. Sessions
     * that wait for a lock of this transaction hold up others, so it gives up after a while. The
     * unit's id is known before its first table is. */
    if (!database_run(db, "select pg_advisory_lock(hashtext('punit schema'))", 0, NULL)
        || !database_run(db, "begin isolation level repeatable read", 0, NULL)
        || !database_run(db,
                         "select set_config('punit.id', $1, true),"
                         " set_config('lock_timeout', '10s', true),"
                         " set_config('check_function_bodies', 'off', true)",
                         1, (const char *const[]){ unit }))
    {
        return false;
    }
    upgrade->fresh = database_value(db, "select to_regclass('punit.schema_file')", 0, NULL) == NULL;
    if (upgrade->fresh) {
        return true;
    }
    upgrade->known_version =
        database_value(db, "select version from punit.schema_version", 0, NULL);
    if (upgrade->known_version != NULL && atoi(upgrade->known_version) > upgrade->tree->version) {
        output_problem("schema",
                       "the database has schema version %s, which is newer than version %d of"
                       " these files; install the release that belongs to it",
                       upgrade->known_version, upgrade->tree->version);
        return false;
    }
    return true;
}


/* A file of tables/ that was applied here and is not among the files. */
static bool
none_missing(const upgrade_t *upgrade)
{
    const schema_files_t *tables = &upgrade->tree->tables;
    PGresult             *rows;
    bool                  ok = true;

    if (upgrade->fresh) {
        return true;
    }
    rows = database_query(upgrade->db, NULL,
                          "select name from punit.schema_file where name like 'tables/%'"
                          " order by 1",
                          0, NULL);
    for (int row = 0; rows != NULL && row < PQntuples(rows); row++) {
        size_t i = 0;

        while (i < tables->count && strcmp(tables->file[i].name, PQgetvalue(rows, row, 0)) != 0) {
            i++;
        }
        if (i == tables->count) {
            output_problem("schema", "%s was applied here and is not among the files; restore it",
                           PQgetvalue(rows, row, 0));
            ok = false;
        }
    }
    PQclear(rows);
    return ok && rows != NULL;
}


static bool
apply_tables(upgrade_t *upgrade)
{
    for (size_t i = 0; i < upgrade->tree->tables.count; i++) {
        const schema_file_t *file = &upgrade->tree->tables.file[i];
        const char          *known = known_sha256(upgrade, file->name);
        const char          *error;

        if (known != NULL && strcmp(known, file->sha256) != 0) {
            output_problem(
                "schema",
                "%s was changed after it was applied here, and files of tables/ are forward-only;"
                " restore it and put the change into a new file",
                file->name);
            return false;
        }
        if (known != NULL) {
            continue;
        }
        if (sql_script_run(upgrade->db, file->name, file->script, &error) != SQL_SCRIPT_DONE) {
            output_problem("schema", "%s", error);
            return false;
        }
        upgrade->fresh = false;
        if (!record(upgrade, file)) {
            return false;
        }
    }
    return true;
}


/* Runs a file in a savepoint. */
static sql_script_result_t
try_file(PGconn *db, const schema_file_t *file, const char **error)
{
    sql_script_result_t result;

    if (!database_run(db, "savepoint file", 0, NULL)) {
        *error = file->name;
        return SQL_SCRIPT_FAILED;
    }
    result = sql_script_run(db, file->name, file->script, error);
    if (result == SQL_SCRIPT_DONE) {
        return database_run(db, "release savepoint file", 0, NULL) ? SQL_SCRIPT_DONE
                                                                   : SQL_SCRIPT_FAILED;
    }
    if (!database_run(db, "rollback to savepoint file", 0, NULL)) {
        return SQL_SCRIPT_FAILED;
    }
    return result;
}


/* One file of functions/. An object that cannot be replaced in place is dropped first, with the
 * others of its file: each that something else depends on stays. */
static sql_script_result_t
apply_function_file(upgrade_t *upgrade, const schema_file_t *file, const char **error)
{
    sql_script_result_t result = try_file(upgrade->db, file, error);

    if (result == SQL_SCRIPT_REPLACE) {
        const char *kept = NULL;

        if (!schema_object_drop_of(upgrade->db, file->name, &kept)) {
            return SQL_SCRIPT_FAILED;
        }
        result = try_file(upgrade->db, file, error);
        if (result == SQL_SCRIPT_REPLACE && kept != NULL) {
            *error = pool_printf("%s; %s", *error, kept);
        }
    }
    if (result == SQL_SCRIPT_DONE
        && (!record(upgrade, file) || !schema_object_made(upgrade->db, file->name)))
    {
        return SQL_SCRIPT_FAILED;
    }
    return result;
}


/* Files run in name order; one that names what is not there yet runs again after the others. */
static bool
apply_functions(upgrade_t *upgrade)
{
    const schema_files_t *files = &upgrade->tree->functions;
    const schema_file_t **pending = pool_alloc(files->count * sizeof(*pending));
    size_t                npending = 0, before;
    bool                  all = upgrade->napplied > 0; /* a view names all columns of its tables */

    for (size_t i = 0; i < files->count; i++) {
        const char *known = known_sha256(upgrade, files->file[i].name);

        if (all || known == NULL || strcmp(known, files->file[i].sha256) != 0
            || schema_object_missing(upgrade->db, files->file[i].name))
        {
            pending[npending++] = &files->file[i];
            if (!schema_object_reset(upgrade->db, files->file[i].name)) {
                return false;
            }
        }
    }
    if (!schema_object_watch(upgrade->db)) {
        return false;
    }
    do {
        const char *first = NULL;
        size_t      left = 0;

        before = npending;
        for (size_t i = 0; i < npending; i++) {
            const char         *error = NULL;
            sql_script_result_t result = apply_function_file(upgrade, pending[i], &error);

            if (result == SQL_SCRIPT_FAILED) {
                output_problem("schema", "%s", error != NULL ? error : pending[i]->name);
                return false;
            }
            if (result != SQL_SCRIPT_DONE) {
                first = first != NULL ? first : error;
                pending[left++] = pending[i];
            }
        }
        npending = left;
        if (!schema_object_drop_left(upgrade->db, npending == 0 || left == before)) {
            return false;
        }
        if (left > 0 && left == before) {
            output_problem("schema", "%s", first);
            return false;
        }
    } while (npending > 0);
    return true;
}


static const schema_file_t *
find(const schema_files_t *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->file[i].name, name) == 0) {
            return &files->file[i];
        }
    }
    return NULL;
}


/* Bodies are not checked while the files run, since they may name what comes later: now all is
 * there. */
static bool
check_bodies(const upgrade_t *upgrade)
{
    PGresult *rows;
    bool      ok = database_run(upgrade->db, "set local check_function_bodies = on", 0, NULL);

    rows = schema_object_validators(upgrade->db);
    ok = ok && rows != NULL;
    for (int row = 0; ok && row < PQntuples(rows); row++) {
        const schema_file_t *file = find(&upgrade->tree->functions, PQgetvalue(rows, row, 0));
        PGresult            *result = PQexec(upgrade->db, PQgetvalue(rows, row, 1));

        if (PQresultStatus(result) != PGRES_TUPLES_OK) {
            output_problem("schema", "%s",
                           sql_script_error(result, PQgetvalue(rows, row, 0),
                                            file != NULL ? file->script : "", NULL, 1));
            ok = false;
        }
        PQclear(result);
    }
    PQclear(rows);
    return ok;
}


/* What is made from the registrations, the record of objects, and the version. */
static bool
complete(upgrade_t *upgrade)
{
    const char *values[] = { pool_printf("%d", upgrade->tree->version),
                             pool_printf("%d", upgrade->tree->serves) };
    PGconn     *db = upgrade->db;

    if (upgrade->napplied > 0
        && database_value(db, "select to_regprocedure('punit.complete_schema()')", 0, NULL) != NULL
        && !database_run(db, "select punit.complete_schema()", 0, NULL))
    {
        return false;
    }
    return check_bodies(upgrade) && schema_object_record(db)
           && database_run(db,
                           "insert into punit.schema_version as v (version, serves)"
                           " values ($1, $2) on conflict (single) do update"
                           " set version = excluded.version, serves = excluded.serves,"
                           " applied_at = excluded.applied_at"
                           " where (v.version, v.serves) <> (excluded.version, excluded.serves)",
                           2, values);
}


/* The names of what was done, for programs. */
static json_t *
names(const char *const *list, size_t n)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(all, json_string(list[i]));
    }
    return all;
}


static int
report(const upgrade_t *upgrade, const char *const *dropped, size_t ndropped)
{
    const schema_tree_t *tree = upgrade->tree;
    const char          *would = upgrade->dry ? "would be " : "";
    bool same = upgrade->known_version != NULL && atoi(upgrade->known_version) == tree->version;

    output_fact("schema",
                json_pack("{s:i, s:b, s:o, s:o}", "version", tree->version, "dry_run", upgrade->dry,
                          "applied", names(upgrade->applied, upgrade->napplied), "dropped",
                          names(dropped, ndropped)));
    for (size_t i = 0; i < upgrade->napplied; i++) {
        output_line(upgrade->dry ? "would apply %s" : "applied %s", upgrade->applied[i]);
    }
    for (size_t i = 0; i < ndropped; i++) {
        output_line(upgrade->dry ? "would drop %s" : "dropped %s", dropped[i]);
    }
    if (upgrade->napplied == 0 && ndropped == 0 && same) {
        output_line("schema: version %d, nothing to do", tree->version);
        return EXIT_OK;
    }
    output_line("schema: version %d, %zu of %zu files %sapplied, %zu objects %sdropped",
                tree->version, upgrade->napplied, tree->tables.count + tree->functions.count, would,
                ndropped, would);
    return upgrade->dry ? EXIT_PENDING : EXIT_OK;
}


/* A program looks at the schema when it connects. If it may have become too old to serve, it must
 * look again. */
static bool
end_sessions(PGconn *db, const char *serves)
{
    return serves == NULL
           || database_run(db,
                           "select pg_terminate_backend(a.pid) from pg_stat_activity a"
                           " where a.datname = current_database()"
                           " and (a.usename in ('punit_mover', 'punit_gridd')"
                           " or a.usename in (select m.rolname from pg_roles m where"
                           " pg_has_role(m.oid, 'punit_service', 'member') and not m.rolsuper))"
                           " and (select v.serves from punit.schema_version v) > $1::int",
                           1, (const char *const[]){ serves });
}


static int
apply(upgrade_t *upgrade, const char *unit)
{
    PGconn      *db = upgrade->db;
    const char  *serves;
    const char **dropped = NULL;
    size_t       ndropped = 0;

    if (!begin(upgrade, unit)) {
        return EXIT_FAILED;
    }
    serves = upgrade->fresh
                 ? NULL
                 : database_value(db, "select serves from punit.schema_version", 0, NULL);
    if (!none_missing(upgrade) || !apply_tables(upgrade)
        || !schema_object_begin(db, &upgrade->tree->functions) || !apply_functions(upgrade)
        || !complete(upgrade) || !schema_object_dropped(db, &dropped, &ndropped))
    {
        database_run(db, "rollback", 0, NULL);
        return output_problem("schema", "nothing was changed");
    }
    if (!database_run(db, upgrade->dry ? "rollback" : "commit", 0, NULL)) {
        return EXIT_FAILED;
    }
    if (!upgrade->dry && !end_sessions(db, serves)) {
        return EXIT_FAILED;
    }
    return report(upgrade, dropped, ndropped);
}


int
schema_apply(const unit_t *unit, const char *directory, bool dry)
{
    schema_tree_t tree;
    upgrade_t     upgrade = { .tree = &tree, .dry = dry };
    int           status;

    if (!schema_tree_read(&tree, directory)) {
        return EXIT_FAILED;
    }
    upgrade.db = database_open(unit, "postgres", NULL);
    if (upgrade.db == NULL) {
        return EXIT_FAILED;
    }
    upgrade.applied =
        pool_alloc((tree.tables.count + tree.functions.count) * sizeof(*upgrade.applied));
    status = apply(&upgrade, unit->id);
    PQfinish(upgrade.db);
    return status;
}
