#include "punitctl/unit/cluster.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/services.h"
#include "punitctl/unit/template.h"
#include "punitctl/wait.h"

#define INCLUDE_LINE "include 'punit.conf'"


/* The version of PostgreSQL that made the cluster, and that alone can run it. 0: there is none. */
static long
made_by(const unit_t *unit)
{
    const char *path = unit_path(unit, "pg/PG_VERSION");
    const char *version = file_exists(path) ? file_read(path, NULL) : NULL;

    return version != NULL ? strtol(version, NULL, 10) : 0;
}


const char *
cluster_programs(const unit_t *unit)
{
    const char *given = unit_setting(unit, "PUNIT_PG_BIN");
    const char *found = NULL;
    long        needed = made_by(unit);
    long        newest = 0;
    glob_t      paths;

    if (given == NULL) {
        given = getenv("PUNIT_PG_BIN");
    }
    if (given != NULL) {
        return given;
    }
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &paths) == 0) {
        for (size_t i = 0; i < paths.gl_pathc; i++) {
            const char *path = paths.gl_pathv[i];
            long        version = strtol(path + strlen("/usr/lib/postgresql/"), NULL, 10);

            if (needed != 0 ? version == needed : version > newest) {
                newest = version;
                found = pool_printf("%.*s", (int) (strlen(path) - strlen("/initdb")), path);
            }
        }
    }
    globfree(&paths);
    if (needed != 0 && found == NULL) {
        output_problem("not-installed",
                       "%s/pg was made by PostgreSQL %ld, which is not under /usr/lib/postgresql;"
                       " install postgresql-%ld or set PUNIT_PG_BIN to the directory of its initdb",
                       unit->dir, needed, needed);
        return NULL;
    }
    if (newest < 15) {
        output_problem("not-installed",
                       "no PostgreSQL 15 or newer under /usr/lib/postgresql; install"
                       " postgresql or set PUNIT_PG_BIN to the directory of initdb");
        return NULL;
    }
    return found;
}


/* PostgreSQL's programs run as the owner of the cluster. */
static bool
run(const unit_t *unit, const char *const *argv)
{
    bool ok;

    process_enter(unit_path(unit, "pg"));
    ok = process_run(argv, NULL);
    process_leave();
    return ok;
}


file_result_t
cluster_make(const unit_t *unit)
{
    const char *programs = cluster_programs(unit);

    if (file_exists(unit_path(unit, "pg/PG_VERSION"))) {
        return FILE_KEPT;
    }
    if (programs == NULL) {
        return FILE_FAILED;
    }
    const char *const argv[] = {
        pool_printf("%s/initdb", programs),
        "--pgdata",
        unit_path(unit, "pg"),
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=peer",
        "--auth-host=reject",
        NULL,
    };

    if (!run(unit, argv)) {
        return FILE_FAILED;
    }
    /* Ours take the place of these two, which nobody has changed yet. */
    file_remove(unit_path(unit, "pg/pg_hba.conf"));
    file_remove(unit_path(unit, "pg/pg_ident.conf"));
    return FILE_WRITTEN;
}


/* Release 0.2.0 had one user for all (old_release.h). */
static bool
is_apart(const unit_t *unit)
{
    return installation_has("conf/sysusers/punit.conf") && process_apart(unit->dir);
}


/* The line that lets a system user take a login role. Where the programs have users of their own,
 * the program's user may take that role alone, and the unit's user is the operator's. */
static const char *
may_take(const unit_t *unit, const char *program)
{
    const char *line = pool_printf("punit  %s  punit_%s\n", process_user(), program);

    return is_apart(unit) ? pool_printf("%spunit  punit-%s  punit_%s\n", line, program, program)
                          : line;
}


/* pg_ident.conf: the login roles that a process of the unit may take, through the unix socket. */
static file_result_t
write_ident(const unit_t *unit)
{
    static const char *const others[] = { "mover", "gridd" };
    size_t                   count;
    const service_t         *services = services_list(&count);
    const char              *roles = pool_printf("punit  %s  postgres\n", process_user());

    if (services == NULL) {
        return FILE_FAILED;
    }
    if (is_apart(unit)) {
        roles = pool_printf("%spunit  " PROCESS_DATABASE_USER "  postgres\n", roles);
    }
    for (size_t i = 0; i < count; i++) {
        roles = pool_printf("%s%s", roles, may_take(unit, services[i].name));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        roles = pool_printf("%s%s", roles, may_take(unit, others[i]));
    }
    return template_write(unit, "postgres/pg_ident.conf",
                          (const template_value_t[]){ { "ROLES", roles }, { NULL, NULL } },
                          "pg/pg_ident.conf", 0600);
}


/* Adds our include to the postgresql.conf of initdb. */
static file_result_t
include_settings(const unit_t *unit)
{
    const char *path = unit_path(unit, "pg/postgresql.conf");
    const char *content = file_read(path, NULL);

    if (content == NULL) {
        return FILE_FAILED;
    }
    if (strstr(content, "\n" INCLUDE_LINE "\n") != NULL) {
        return FILE_KEPT;
    }
    content = pool_printf("%s\n" INCLUDE_LINE "\n", content);
    return file_write(path, content, strlen(content), 0600);
}


/* The line of punit.conf for our library. PostgreSQL does not start without a library that the line
 * names, so there is none for a version that ours was not built for. */
static const char *
guard_line(const unit_t *unit)
{
    const char *path = installation_guard(made_by(unit));

    return path != NULL ? pool_printf("shared_preload_libraries = '%s'", path)
                        : pool_printf("# no punit_guard.so for PostgreSQL %ld", made_by(unit));
}


file_result_t
cluster_write(const unit_t *unit)
{
    const char            *listen = unit_setting(unit, "PUNIT_PG_LISTEN");
    const template_value_t values[] = {
        { "ADDRESS", address_host(listen) },
        { "PORT", address_port(listen) },
        { "GUARD", guard_line(unit) },
        { "SOCKET_GROUP", is_apart(unit) ? "unix_socket_group = '" PROCESS_PROGRAMS "'" : "" },
        { NULL, NULL },
    };
    const file_result_t results[] = {
        template_write(unit, "postgres/punit.conf", values, "pg/punit.conf", 0600),
        template_write(unit, "postgres/pg_hba.conf", NULL, "pg/pg_hba.conf", 0600),
        write_ident(unit),
    };

    return file_result_of(results, sizeof(results) / sizeof(*results));
}


file_result_t
cluster_configure(const unit_t *unit)
{
    const file_result_t results[] = { cluster_write(unit), include_settings(unit) };
    file_result_t       all = file_result_of(results, sizeof(results) / sizeof(*results));

    if (all == FILE_WRITTEN) {
        cluster_reload(unit);
    }
    return all;
}


bool
cluster_reload(const unit_t *unit)
{
    pid_t pid = process_of(unit_path(unit, "pg/postmaster.pid"), "postgres");

    return pid > 0 && process_signal(pid, SIGHUP);
}


bool
cluster_runs(const unit_t *unit)
{
    return process_of(unit_path(unit, "pg/postmaster.pid"), "postgres") > 0;
}


static bool
lets_in(void *context)
{
    return PQping(context) == PQPING_OK;
}


bool
cluster_wait(const unit_t *unit, double seconds)
{
    char *conninfo = pool_printf("%s user=postgres", unit_setting(unit, "PUNIT_PG"));

    if (!wait_until(lets_in, conninfo, seconds)) {
        output_problem("database-down",
                       "PostgreSQL runs but accepts no client after %g s; see %s/log/postgres.log",
                       seconds, unit->dir);
        return false;
    }
    return true;
}


static bool
control(const unit_t *unit, const char *action)
{
    const char *programs = cluster_programs(unit);

    if (programs == NULL) {
        return false;
    }
    const char *const argv[] = {
        pool_printf("%s/pg_ctl", programs),
        action,
        "--pgdata",
        unit_path(unit, "pg"),
        "--wait",
        "--timeout=60",
        "--silent",
        "--mode=fast",
        "--log",
        unit_path(unit, "log/postgres.log"),
        "--options",
        "-c listen_addresses=''",
        NULL,
    };
    const char *stop[9];

    if (strcmp(action, "start") == 0) {
        return run(unit, argv);
    }
    for (int i = 0; i < 8; i++) {
        stop[i] = argv[i];
    }
    stop[8] = NULL;
    return run(unit, stop);
}


bool
cluster_start(const unit_t *unit)
{
    const char *pid_file = unit_path(unit, "pg/postmaster.pid");

    /* PostgreSQL removes the pid file of a dead server, but not if another process or a zombie has
     * the number. It still detects live children of that server by the shared memory. */
    if (process_of(pid_file, "postgres") == 0) {
        file_remove(pid_file);
        file_remove(unit_path(unit, "sock/.s.PGSQL.%s.lock",
                              address_port(unit_setting(unit, "PUNIT_PG_LISTEN"))));
    }
    return control(unit, "start");
}


bool
cluster_stop(const unit_t *unit)
{
    return control(unit, "stop");
}


file_result_t
cluster_database(const unit_t *unit)
{
    PGconn       *db = database_open(unit, "postgres", "postgres");
    file_result_t result = FILE_FAILED;
    PGresult     *found;

    if (db == NULL) {
        return FILE_FAILED;
    }
    found = database_query(db, NULL, "select from pg_database where datname = 'punit'", 0, NULL);
    if (found != NULL && PQntuples(found) > 0) {
        result = FILE_KEPT;
    } else if (found != NULL && database_run(db, "create database punit", 0, NULL)) {
        result = FILE_WRITTEN;
    }
    PQclear(found);
    PQfinish(db);
    return result;
}
