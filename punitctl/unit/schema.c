#include "punitctl/unit/schema.h"

#include <glob.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/installation.h"

static const char record[] =
    "create schema if not exists punit;"
    "create table if not exists punit.schema_file ("
    "    name text primary key,"
    "    sha256 text not null,"
    "    applied_at timestamptz not null default now());"
    "comment on table punit.schema_file is"
    "    'files of sql/ that this database has seen; written by punitctl schema';"
    "revoke all on punit.schema_file from public;";


static const char *
sha256(const char *content, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char         *hex = pool_alloc(2 * 32 + 1);
    unsigned      n;

    EVP_Digest(content, size, digest, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < n; i++) {
        static const char digits[] = "0123456789abcdef";

        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    return hex;
}


/* Several statements without parameters; an error names file and line. */
static bool
run_script(PGconn *db, const char *name, const char *script)
{
    PGresult      *result = PQexec(db, script);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
        const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
        long        line = 1;

        if (position != NULL) {
            long left = strtol(position, NULL, 10);

            /* characters are counted, and a comment may hold UTF-8 */
            for (const char *at = script; *at != '\0' && left > 1; at++) {
                line += *at == '\n';
                left -= (*at & 0xc0) != 0x80;
            }
            output_error("%s line %ld: %s", name, line,
                         PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        } else {
            output_error("%s: %s%s%s", name, PQerrorMessage(db), context != NULL ? "in " : "",
                         context != NULL ? context : "");
        }
        PQclear(result);
        return false;
    }
    PQclear(result);
    return true;
}


/* 1 applied, 0 known, -1 refused or failed (said). */
static int
apply_file(PGconn *db, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    size_t      size;
    const char *script = file_read(path, &size);
    const char *digest, *known;

    if (script == NULL) {
        return -1;
    }
    digest = sha256(script, size);
    known = database_value(db, "select sha256 from punit.schema_file where name = $1", 1,
                           (const char *const[]){ name });
    if (known != NULL) {
        if (strcmp(known, digest) == 0) {
            return 0;
        }
        output_error("%s was changed after it was applied here; files are"
                     " forward-only: restore it and put the change into a new file",
                     name);
        return -1;
    }
    if (run_script(db, name, "begin") && run_script(db, name, script)
        && database_run(db,
                        "insert into punit.schema_file (name, sha256)"
                        " values ($1, $2)",
                        2, (const char *const[]){ name, digest })
        && run_script(db, name, "commit"))
    {
        output_line("applied %s", name);
        return 1;
    }
    database_run(db, "rollback", 0, NULL);
    output_error("%s was rolled back; nothing of it is applied", name);
    return -1;
}


static int
apply_all(PGconn *db, const char *directory)
{
    glob_t paths;
    int    applied = 0, step = 0;

    if (glob(pool_printf("%s/*.sql", directory), 0, NULL, &paths) != 0) {
        return output_error("no sql files in %s", directory);
    }
    for (size_t i = 0; i < paths.gl_pathc && step >= 0; i++) {
        step = apply_file(db, paths.gl_pathv[i]);
        applied += step > 0;
    }
    if (step >= 0) {
        output_line("schema: %d of %zu files applied now, the rest before", applied,
                    paths.gl_pathc);
    }
    globfree(&paths);
    return step >= 0 ? EXIT_OK : EXIT_FAILED;
}


int
schema_apply(const unit_t *unit, const char *directory)
{
    PGconn *db = database_open(unit, "postgres", NULL);
    int     status = EXIT_FAILED;

    if (db == NULL) {
        return EXIT_FAILED;
    }
    /* one at a time; the unit's id is known before its first table is */
    if (database_run(db, "select pg_advisory_lock(hashtext('punit schema'))", 0, NULL)
        && database_run(db, "select set_config('punit.id', $1, false)", 1,
                        (const char *const[]){ unit->id })
        && run_script(db, "punit.schema_file", record))
    {
        status = apply_all(db, directory);
    }
    if (status == EXIT_OK
        && database_value(db, "select to_regprocedure('punit.publish()')", 0, NULL) != NULL)
    {
        status = database_run(db, "select punit.publish()", 0, NULL) ? EXIT_OK : EXIT_FAILED;
    }
    PQfinish(db);
    return status;
}


int
verb_schema(const arguments_t *arguments)
{
    const char *directory = arguments_value(arguments, "sql");
    unit_t      unit;

    if (directory == NULL) {
        directory = installation_share("sql");
    }
    if (directory == NULL || !unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    return schema_apply(&unit, directory);
}
