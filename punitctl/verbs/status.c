/*
 * punitctl status: the processes of this unit, its NGINX, grids, disks, certificates, users and
 * mesh.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "punitctl/mesh/mesh.h"
#include "punitctl/pool.h"
#include "punitctl/unit/certificate_list.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/disk.h"
#include "punitctl/unit/grid.h"
#include "punitctl/unit/nginx_state.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/verb.h"


/* The type bigint, of pg_type. */
#define INT8_TYPE 20

/* PUNIT_INBOX_ALARM, if the setting is not there. */
#define INBOX_ALARM_MS 60000


/* True if a process listens on the socket (stream or datagram). */
static bool
answers(const char *path)
{
    static const int   kinds[] = { SOCK_STREAM, SOCK_DGRAM };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    bool               ok = false;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    for (size_t i = 0; i < 2 && !ok; i++) {
        int fd = socket(AF_UNIX, kinds[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        ok = fd >= 0 && connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0;
        if (fd >= 0) {
            close(fd);
        }
    }
    return ok;
}


/* What is known of one process. A process with a socket is up if it answers there too. Where no
 * supervisor is known, the socket alone counts. */
static json_t *
one_process(const unit_t *unit, const supervise_process_t *process, bool *good)
{
    supervise_state_t now = supervise_state(unit, process);
    bool    heard = process->socket == NULL || answers(unit_path(unit, "sock/%s", process->socket));
    bool    up = heard && (now.pid > 0 || (!now.known && process->socket != NULL));
    json_t *all = json_object();

    *good = *good && up;
    json_object_set_new(all, "name", json_string(process->name));
    json_object_set_new(all, "state", json_string(up ? "up" : now.pid > 0 ? "silent" : "down"));
    json_object_set_new(all, "pid", now.pid > 0 ? json_integer(now.pid) : json_null());
    json_object_set_new(all, "up_s",
                        now.pid > 0 && now.since > 0
                            ? json_real(round(10 * (punit_clock_s() - now.since)) / 10)
                            : json_null());
    json_object_set_new(all, "since", now.pid > 0 ? output_time(now.since) : json_null());
    json_object_set_new(all, "restarts",
                        now.restarts >= 0 ? json_integer(now.restarts) : json_null());
    json_object_set_new(all, "result", now.result != NULL ? json_string(now.result) : json_null());
    return all;
}


static json_t *
processes(const unit_t *unit, bool *good)
{
    size_t                     count;
    const supervise_process_t *listed = supervise_processes(&count);
    json_t                    *all = json_array();

    *good = *good && listed != NULL;
    for (size_t i = 0; listed != NULL && i < count; i++) {
        json_array_append_new(all, one_process(unit, &listed[i], good));
    }
    return all;
}


/* {first column: second column as a number} */
static json_t *
numbers(PGconn *db, const char *statement)
{
    PGresult *rows = database_query(db, NULL, statement, 0, NULL);
    json_t   *all = json_object();

    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        json_object_set_new(all, PQgetvalue(rows, i, 0),
                            json_integer(strtoll(PQgetvalue(rows, i, 1), NULL, 10)));
    }
    PQclear(rows);
    return all;
}


/* The schema's version, and whether the programs of this release can serve on it. */
static json_t *
schema_fit(PGconn *db, bool *good)
{
    PGresult *row =
        database_query(db, NULL, "select version, serves from punit.schema_version", 0, NULL);
    bool known = row != NULL && PQntuples(row) == 1;
    int  version = known ? atoi(PQgetvalue(row, 0, 0)) : 0;
    int  serves = known ? atoi(PQgetvalue(row, 0, 1)) : 0;
    bool fits = version >= PUNIT_SCHEMA_VERSION && serves <= PUNIT_SCHEMA_VERSION;

    PQclear(row);
    *good = *good && fits;
    return json_pack("{s:i, s:i, s:i, s:b}", "version", version, "serves", serves, "program",
                     PUNIT_SCHEMA_VERSION, "fits", fits);
}


/* The first row of a statement as an object of texts; null if there is none. */
static json_t *
row_of(PGconn *db, const char *statement)
{
    PGresult *row = database_query(db, NULL, statement, 0, NULL);
    json_t   *all = row != NULL && PQntuples(row) > 0 ? json_object() : json_null();

    for (int i = 0; json_is_object(all) && i < PQnfields(row); i++) {
        const char *name = PQfname(row, i);
        const char *value = database_field(row, 0, name);

        json_object_set_new(all, name,
                            value == NULL                  ? json_null()
                            : PQftype(row, i) == INT8_TYPE ? json_integer(strtoll(value, NULL, 10))
                                                           : json_string(value));
    }
    PQclear(row);
    return all;
}


/* The messages that wait for their turn, by class and origin. A line whose oldest message is older
 * than PUNIT_INBOX_ALARM is late. */
static json_t *
inbox(const unit_t *unit, PGconn *db, bool *good)
{
    const char *setting = unit_setting(unit, "PUNIT_INBOX_ALARM");
    long        alarm_ms = setting != NULL ? punit_config_time_parse(setting) : INBOX_ALARM_MS;
    PGresult   *rows = database_query(db, NULL,
                                      "select class, origin_unit, messages, oldest_s"
                                        " from punit.inbox_backlog order by 1, 2",
                                      0, NULL);
    json_t     *all = json_array();

    *good = *good && alarm_ms >= 0 && rows != NULL;
    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        double oldest_s = strtod(PQgetvalue(rows, i, 3), NULL);
        bool   late = alarm_ms >= 0 && oldest_s * 1e3 > (double) alarm_ms;

        *good = *good && !late;
        json_array_append_new(all, json_pack("{s:i, s:s, s:I, s:f, s:b}", "class",
                                             atoi(PQgetvalue(rows, i, 0)), "origin",
                                             PQgetvalue(rows, i, 1), "messages",
                                             (json_int_t) atoll(PQgetvalue(rows, i, 2)), "oldest_s",
                                             oldest_s, "late", late));
    }
    PQclear(rows);
    return all;
}


static void
gather_database(const unit_t *unit, json_t *all, PGconn *db, bool *good)
{
    json_t *mesh, *messages, *refusals;

    json_object_set_new(all, "schema", schema_fit(db, good));
    json_object_set_new(all, "users",
                        numbers(db, "select state, count(*) from punit.own group by 1 order by 1"));
    json_object_set_new(all, "generations",
                        numbers(db, "select service, sum(gen)::bigint from punit.generation"
                                    " group by 1 order by 1"));
    json_object_set_new(all, "moves",
                        numbers(db,
                                "select phase, count(*) from punit.move where finished_at is null"
                                " group by 1 order by 1"));
    /* A failing message is tried again. One given up waits for the operator. */
    messages = numbers(db, "select case when l.given_up is not null then 'given up'"
                           " when l.error is not null then 'failing' else 'waiting' end,"
                           " count(*) from punit.inbox_late l group by 1"
                           " union all select 'under way', count(*) from punit.outbox o"
                           " where o.origin_unit = punit.self()"
                           " order by 1");
    json_object_set_new(all, "messages", messages);
    json_object_set_new(all, "inbox", inbox(unit, db, good));
    json_object_set_new(all, "drain",
                        row_of(db, "select to_unit as to, " DATABASE_TIME(
                                       "began_at") " as since, owned, remaining as \"left\""
                                                   " from punit.drain"));
    json_object_set_new(all, "leave",
                        row_of(db, "select " DATABASE_TIME(
                                       "left_at") " as since from punit.me where left_at is not"
                                                  " null"));
    json_object_set_new(all, "keys",
                        row_of(db, "select (select k.kid from punit.unit_key k where"
                                   " k.origin_unit = punit.self() and not exists (select from"
                                   " punit.unit_key_end e where e.kid = k.kid) order by"
                                   " k.created_at, k.kid limit 1) as signs,"
                                   " (select count(*) from punit.unit_key_held h where"
                                   " h.origin_unit = punit.self()) as held"));
    mesh = mesh_state(db);
    *good = *good && mesh != NULL && mesh_good(mesh) && json_object_get(messages, "failing") == NULL
            && json_object_get(messages, "given up") == NULL;
    json_object_set_new(all, "mesh", mesh != NULL ? mesh : json_array());
    refusals = mesh_refusals(db);
    *good = *good && refusals != NULL;
    json_object_set_new(all, "refusals", refusals != NULL ? refusals : json_array());
}


static json_t *
gather(const unit_t *unit, bool *good)
{
    json_t *certificates = certificate_list(unit);
    PGconn *db;
    json_t *all = json_pack("{s:s, s:s, s:o}", "unit", unit->id, "version", PUNIT_VERSION,
                            "processes", processes(unit, good));

    json_object_set_new(all, "grid", grid_state(unit, good));
    json_object_set_new(all, "front", nginx_state(unit, good));
    json_object_set_new(all, "disk", disk_state(unit, good));
    *good = *good && certificate_list_good(certificates);
    json_object_set_new(all, "certificates", certificates);
    db = database_open(unit, "postgres", NULL);
    if (db == NULL) {
        *good = false;
        return all;
    }
    gather_database(unit, all, db, good);
    PQfinish(db);
    return all;
}


static void
print_numbers(const char *title, const json_t *numbers)
{
    const char *line = "";
    const char *name;
    json_t     *value;

    json_object_foreach((json_t *) (void *) numbers, name, value)
    {
        line = pool_printf("%s  %s %lld", line, name, (long long) json_integer_value(value));
    }
    printf("%-12s%s\n", title, *line != '\0' ? line : "  none");
}


static void
print_schema(const json_t *schema)
{
    bool fits = json_is_true(json_object_get(schema, "fits"));

    printf("%-12s  version %s, serves programs from version %s on; this program: version %s%s\n",
           "schema", output_value(schema, "version"), output_value(schema, "serves"),
           output_value(schema, "program"), fits ? "" : ", which does not fit");
}


/* "auth 503 (database-down), us down": what of an array is not as `member` should be. */
static const char *
exceptions(const json_t *objects, const char *name, const char *member, const char *should)
{
    const char   *line = "";
    const json_t *one;
    size_t        i;

    json_array_foreach(objects, i, one)
    {
        const char *value = output_value(one, member);
        const char *wrong = output_value(one, "wrong");

        if (value == NULL || strcmp(value, should) != 0) {
            line = pool_printf("%s%s%s %s%s%s%s", line, *line != '\0' ? ", " : "",
                               output_value(one, name), value, wrong != NULL ? " (" : "",
                               wrong != NULL ? wrong : "", wrong != NULL ? ")" : "");
        }
    }
    return line;
}


static void
print_line(const char *title, const char *text)
{
    printf("%-12s  %s\n", title, text);
}


static void
print_front(const json_t *front)
{
    const char *services =
        exceptions(json_object_get(front, "services"), "service", "status", "200");
    const char *marks = exceptions(json_object_get(front, "marks"), "peer", "mark", "up");

    print_line("nginx", output_value(front, "nginx"));
    print_line("health", *services != '\0' ? services : "all services are well");
    print_line("marks", *marks != '\0' ? marks : "no peer is marked down");
}


static void
print_disk(const json_t *disks)
{
    const json_t *one;
    size_t        i;

    json_array_foreach(disks, i, one)
    {
        double gib = (double) json_integer_value(json_object_get(one, "free_bytes")) / (1 << 30);
        print_line("disk", pool_printf("%s: %.1f GiB and %s %% free%s", output_value(one, "path"),
                                       gib, output_value(one, "free_percent"),
                                       strcmp(output_value(one, "state"), "ok") == 0
                                           ? ""
                                           : pool_printf(": %s", output_value(one, "state"))));
    }
}


static void
print_certificates(const json_t *certificates)
{
    const json_t *one;
    size_t        i;

    json_array_foreach(certificates, i, one)
    {
        const char *days = output_value(one, "days");
        const char *problem = output_value(one, "problem");

        print_line("certificate",
                   pool_printf("%s: %s days left%s%s", output_value(one, "name"),
                               days != NULL ? days : "no", problem != NULL ? "; " : "",
                               problem != NULL ? problem : ""));
    }
}


static void
print_drain(const json_t *drain)
{
    const char *to = output_value(drain, "to");

    if (json_is_object(drain)) {
        print_line("drain", pool_printf("to %s since %s: %s of %s users are left",
                                        to != NULL ? to : "all peers", output_value(drain, "since"),
                                        output_value(drain, "left"), output_value(drain, "owned")));
    }
}


static void
print_leave(const json_t *leave)
{
    if (json_is_object(leave)) {
        print_line("leave", pool_printf("taken %s: nothing begins here any more",
                                        output_value(leave, "since")));
    }
}


static void
print_inbox(const json_t *lines)
{
    const json_t *one;
    size_t        i;

    json_array_foreach(lines, i, one)
    {
        print_line("inbox",
                   pool_printf("class %s of %s: %s messages, the oldest for %.0f s%s",
                               output_value(one, "class"), output_value(one, "origin"),
                               output_value(one, "messages"),
                               json_real_value(json_object_get(one, "oldest_s")),
                               json_is_true(json_object_get(one, "late")) ? ": late" : ""));
    }
}


static void
print(const json_t *all)
{
    static const char *const process[] = { "name", "state", "pid", "up_s", "restarts", "result" };
    static const char *const grid[] = { "grid", "server", "state", "items", "hits", "misses" };
    const json_t            *mesh = json_object_get(all, "mesh");
    const json_t            *keys = json_object_get(all, "keys");

    output_objects(json_object_get(all, "processes"), process, 6);
    puts("");
    output_objects(json_object_get(all, "grid"), grid, 6);
    puts("");
    print_line("program", pool_printf("version %s", output_value(all, "version")));
    print_front(json_object_get(all, "front"));
    print_disk(json_object_get(all, "disk"));
    print_certificates(json_object_get(all, "certificates"));
    if (mesh == NULL) {
        return;
    }
    print_schema(json_object_get(all, "schema"));
    print_line("keys", pool_printf("%s signs, %s held", output_value(keys, "signs"),
                                   output_value(keys, "held")));
    print_drain(json_object_get(all, "drain"));
    print_leave(json_object_get(all, "leave"));
    print_numbers("users", json_object_get(all, "users"));
    print_numbers("moves", json_object_get(all, "moves"));
    print_numbers("generations", json_object_get(all, "generations"));
    print_numbers("messages", json_object_get(all, "messages"));
    print_inbox(json_object_get(all, "inbox"));
    puts("");
    mesh_print(mesh);
    mesh_print_refusals(json_object_get(all, "refusals"));
}


int
verb_status(const arguments_t *arguments)
{
    unit_t  unit;
    bool    good = true;
    json_t *all;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    all = gather(&unit, &good);
    print(all);
    json_object_set_new(all, "good", json_boolean(good));
    output_json(all);
    return good ? EXIT_OK : EXIT_FAILED;
}
