/*
 * PostgreSQL and memcached, as the programs of this release need them.
 */
#include <stdlib.h>
#include <string.h>

#include "punitctl/doctor/doctor.h"
#include "punitctl/pool.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/grid.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/services.h"

/* Connections of a service, unless PUNIT_PG_POOL says. */
#define POOL_OTHERWISE 16

/* Beside the services: threads of the mover, gridd, peers and operators. */
#define OTHERS 24


static long
number(const char *text, long otherwise)
{
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}


/* The cluster's files are of the version that the installed programs are of. */
static void
look_at_version(doctor_t *doctor)
{
    const char *file = file_read(unit_path(doctor->unit, "pg/PG_VERSION"), NULL);
    const char *programs = cluster_programs(doctor->unit);
    const char *at = programs != NULL ? strstr(programs, "/postgresql/") : NULL;
    long        of_files = number(file, 0);
    long        of_programs = at != NULL ? number(at + strlen("/postgresql/"), 0) : of_files;

    if (programs == NULL) {
        doctor_say(doctor, DOCTOR_FAIL, pool_printf("install postgresql-%ld", of_files),
                   "the cluster is of PostgreSQL %ld, which is not installed", of_files);
        return;
    }
    if (of_files == 0 || of_programs == 0) {
        return;
    }
    if (of_files != of_programs) {
        doctor_say(doctor, DOCTOR_FAIL,
                   pool_printf("install postgresql-%ld, or bring the cluster to %ld (pg_upgrade)",
                               of_files, of_programs),
                   "the cluster is of PostgreSQL %ld, and %ld is installed", of_files, of_programs);
    } else {
        doctor_say(doctor, DOCTOR_OK, NULL, "PostgreSQL %ld", of_files);
    }
}


static void
look_at_schema(doctor_t *doctor)
{
    PGresult *row = database_query(doctor->db, NULL,
                                   "select version, serves from punit.schema_version", 0, NULL);
    bool      known = row != NULL && PQntuples(row) == 1;
    long      version = known ? number(PQgetvalue(row, 0, 0), 0) : 0;
    long      serves = known ? number(PQgetvalue(row, 0, 1), 0) : 0;

    PQclear(row);
    if (version < PUNIT_SCHEMA_VERSION) {
        doctor_say(doctor, DOCTOR_FAIL, "punitctl schema",
                   "the schema has version %ld, and these programs need %d", version,
                   PUNIT_SCHEMA_VERSION);
    } else if (serves > PUNIT_SCHEMA_VERSION) {
        doctor_say(doctor, DOCTOR_FAIL, "install the programs of the schema's release",
                   "the schema serves programs from version %ld on, and these have %d", serves,
                   PUNIT_SCHEMA_VERSION);
    } else {
        doctor_say(doctor, DOCTOR_OK, NULL, "the schema fits, version %ld", version);
    }
}


static void
look_at_connections(doctor_t *doctor)
{
    size_t count = 0;
    long   pool = number(unit_setting(doctor->unit, "PUNIT_PG_POOL"), POOL_OTHERWISE);
    long   most = number(database_value(doctor->db, "show max_connections", 0, NULL), 0);
    long   needed;

    if (services_list(&count) == NULL) {
        return;
    }
    needed = (long) count * pool + number(unit_setting(doctor->unit, "PUNIT_MOVERS"), 4) + OTHERS;
    doctor_say(doctor, most < needed ? DOCTOR_WARN : DOCTOR_OK,
               most < needed ? "raise max_connections, or lower PUNIT_PG_POOL" : NULL,
               "max_connections is %ld, and %zu services with %ld each may need %ld", most, count,
               pool, needed);
}


/* The library that PostgreSQL loads when it starts, and roles of release 0.2.0. */
static void
look_at_peers_rights(doctor_t *doctor)
{
    long        version = PQserverVersion(doctor->db) / 10000;
    const char *refused =
        database_value(doctor->db, "select current_setting('punit_guard.refused', true)", 0, NULL);
    const char *streaming =
        database_value(doctor->db,
                       "select string_agg(substring(rolname from '^punit_peer_(.*)'), ', '"
                       " order by rolname) from pg_roles"
                       " where rolname like 'punit\\_peer\\_%' and rolreplication",
                       0, NULL);

    if (refused == NULL) {
        doctor_say(
            doctor, DOCTOR_WARN,
            installation_guard(version) != NULL
                ? "restart PostgreSQL; if that does not help, let shared_preload_libraries of"
                  " postgresql.conf name the library of punit.conf too"
                : pool_printf("install a punit that was built for PostgreSQL %ld", version),
            "PostgreSQL runs without punit_guard.so, so a peer can copy the cluster");
    } else if (number(refused, 0) > 0) {
        doctor_say(doctor, DOCTOR_WARN, "look for \"refused peer=\" in PostgreSQL's log",
                   "sessions of peers that were ended for what they tried: %s", refused);
    } else {
        doctor_say(doctor, DOCTOR_OK, NULL, "PostgreSQL holds peers to their rights");
    }
    if (streaming != NULL) {
        doctor_say(doctor, DOCTOR_WARN, "upgrade it, then `punitctl mesh join` there",
                   "streams by the role that calls: %s", streaming);
    }
}


void
doctor_database(doctor_t *doctor)
{
    look_at_version(doctor);
    if (doctor->db == NULL) {
        doctor_say(doctor, DOCTOR_FAIL, "look at PostgreSQL's log", "PostgreSQL does not answer");
        return;
    }
    look_at_schema(doctor);
    look_at_connections(doctor);
    look_at_peers_rights(doctor);
}


void
doctor_grid(doctor_t *doctor)
{
    bool          good = true;
    json_t       *servers = grid_state(doctor->unit, &good);
    const json_t *one;
    size_t        i;

    json_array_foreach(servers, i, one)
    {
        bool up = strcmp(output_value(one, "state"), "up") == 0;

        doctor_say(doctor, up ? DOCTOR_OK : DOCTOR_FAIL,
                   up ? NULL : "start it; until then reads go to the services", "%s: %s %s",
                   output_value(one, "grid"), output_value(one, "server"),
                   up ? "answers" : "does not answer");
    }
    json_decref(servers);
}
