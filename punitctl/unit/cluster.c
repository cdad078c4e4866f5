#include "punitctl/unit/cluster.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/units_file.h"
#include "punitctl/wait.h"

#define INCLUDE_LINE "include 'punit.conf'"

/* Login roles a process of the unit may take, all through the unix socket. */
static const char *const roles[] = {
    "postgres",     "punit_auth",   "punit_profile", "punit_training", "punit_metrics",
    "punit_sports", "punit_social", "punit_mover",   "punit_gridd",
};

static const char settings[] =
    "# written by punitctl; own settings belong into postgresql.conf after the\n"
    "# line that includes this file\n"
    "listen_addresses = '%s'\n"
    "port = %s\n"
    "unix_socket_directories = '%s/sock'\n"
    "unix_socket_permissions = 0770\n"
    "max_connections = 200\n"
    "\n"
    "# units reach each other with certificates only\n"
    "ssl = on\n"
    "ssl_cert_file = '%s'\n"
    "ssl_key_file = '%s'\n"
    "ssl_ca_file = '%s'\n"
    "ssl_min_protocol_version = 'TLSv1.3'\n"
    "\n"
    "# the mesh: a slot at each peer, one subscription for each peer\n"
    "wal_level = logical\n"
    "max_wal_senders = 40\n"
    "max_replication_slots = 40\n"
    "max_worker_processes = 48\n"
    "max_logical_replication_workers = 40\n"
    "max_sync_workers_per_subscription = 4\n"
    "# a peer away for longer than this is repaired by `punitctl mesh resync`\n"
    "max_slot_wal_keep_size = '1GB'\n"
    "# 5 s by default: how long a subscription waits before it tries again\n"
    "wal_retrieve_retry_interval = '500ms'\n"
    "wal_sender_timeout = '15s'\n"
    "wal_receiver_timeout = '15s'\n"
    "\n"
    "timezone = 'UTC'\n"
    "log_timezone = 'UTC'\n"
    "log_line_prefix = '%%m [%%p] %%q%%u/%%a '\n"
    "log_lock_waits = on\n";

static const char hba[] = "# written by punitctl\n"
                          "# processes of the unit: its own system user, through the unix socket\n"
                          "local    all    all                       peer  map=punit\n"
                          "# peers: a certificate whose CN is the peer's id\n"
                          "hostssl  punit  +punit_peer  0.0.0.0/0    cert  map=punit_peer\n"
                          "hostssl  punit  +punit_peer  ::/0         cert  map=punit_peer\n";


const char *
cluster_programs(void)
{
    const char *given = getenv("PUNIT_PG_BIN");
    const char *found = NULL;
    long        newest = 0;
    glob_t      paths;

    if (given != NULL) {
        return given;
    }
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &paths) == 0) {
        for (size_t i = 0; i < paths.gl_pathc; i++) {
            const char *path = paths.gl_pathv[i];
            long        version = strtol(path + strlen("/usr/lib/postgresql/"), NULL, 10);

            if (version > newest) {
                newest = version;
                found = pool_printf("%.*s", (int) (strlen(path) - strlen("/initdb")), path);
            }
        }
    }
    globfree(&paths);
    if (newest < 15) {
        output_error("no PostgreSQL 15 or newer under /usr/lib/postgresql; install"
                     " postgresql-15 or set PUNIT_PG_BIN to the directory of initdb");
        return NULL;
    }
    return found;
}


file_result_t
cluster_make(const unit_t *unit)
{
    const char *programs = cluster_programs();

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

    return process_run(argv, NULL) ? FILE_WRITTEN : FILE_FAILED;
}


static file_result_t
write_text(const char *path, const char *content)
{
    return file_write(path, content, strlen(content), 0600);
}


file_result_t
cluster_configure(const unit_t *unit, const char *listen)
{
    const char *colon = strrchr(listen, ':');
    const char *main_path = unit_path(unit, "pg/postgresql.conf");
    char       *main_conf = file_read(main_path, NULL);
    const char *user = process_user();
    /* root could become the unit's user anyhow */
    char         *ident = pool_printf("# written by punitctl\n"
                                              "punit_peer  /^([a-z0-9-]+)$  punit_peer_\\1\n"
                                              "punit  root  postgres\n");
    file_result_t results[4] = { FILE_KEPT };

    if (main_conf == NULL) {
        return FILE_FAILED;
    }
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        ident = pool_printf("%spunit  %s  %s\n", ident, user, roles[i]);
    }
    results[0] =
        write_text(unit_path(unit, "pg/punit.conf"),
                   pool_printf(settings, pool_printf("%.*s", (int) (colon - listen), listen),
                               colon + 1, unit->dir, unit_setting(unit, "PUNIT_TLS_CERT"),
                               unit_setting(unit, "PUNIT_TLS_KEY"),
                               unit_setting(unit, "PUNIT_TLS_CA")));
    results[1] = write_text(unit_path(unit, "pg/pg_hba.conf"), hba);
    results[2] = write_text(unit_path(unit, "pg/pg_ident.conf"), ident);
    if (strstr(main_conf, "\n" INCLUDE_LINE "\n") == NULL) {
        results[3] = write_text(main_path, pool_printf("%s\n" INCLUDE_LINE "\n", main_conf));
    }

    file_result_t all = FILE_KEPT;

    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        if (results[i] == FILE_FAILED) {
            return FILE_FAILED;
        }
        all = results[i] == FILE_WRITTEN ? FILE_WRITTEN : all;
    }
    if (all == FILE_WRITTEN && cluster_runs(unit)) {
        kill(process_of(unit_path(unit, "pg/postmaster.pid"), "postgres"), SIGHUP);
    }
    return all;
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
        output_error("PostgreSQL runs but lets nobody in after %g s; see"
                     " %s/log/postgres.log",
                     seconds, unit->dir);
        return false;
    }
    return true;
}


static bool
control(const unit_t *unit, const char *action)
{
    const char *programs = cluster_programs();

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
        return process_run(argv, NULL);
    }
    for (int i = 0; i < 8; i++) {
        stop[i] = argv[i];
    }
    stop[8] = NULL;
    return process_run(stop, NULL);
}


bool
cluster_start(const unit_t *unit)
{
    const char *pid_file = unit_path(unit, "pg/postmaster.pid");

    /* PostgreSQL sees to a dead one itself, but not if the number is now a
     * stranger's or a zombie's; the shared memory tells it of live children */
    if (process_of(pid_file, "postgres") == 0) {
        unlink(pid_file);
        unlink(unit_path(unit, "sock/.s.PGSQL.%s.lock",
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
