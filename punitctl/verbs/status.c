/*
 * punitctl status: the processes of this unit, its grids, its users and its mesh.
 */
#include <jansson.h>
#include <libmemcached/memcached.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "punitctl/mesh/mesh.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/verb.h"


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
    bool              heard =
        process->socket == NULL || answers(unit_path(unit, "sock/%s", process->socket));
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
    json_object_set_new(all, "restarts", now.restarts >= 0 ? json_integer(now.restarts)
                                                           : json_null());
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


/* The servers of a list, each asked for its version and its items. */
static void
grid_servers(const char *grid, const char *list, json_t *all, bool *good)
{
    char *rest = pool_printf("%s", list != NULL ? list : "");
    char *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        memcached_st      *client = memcached_create(NULL);
        const char        *colon = strrchr(word, ':');
        memcached_return_t rc;
        memcached_stat_st *stat;
        bool               up;

        if (*word == '\0' || colon == NULL) {
            memcached_free(client);
            continue;
        }
        if (strncmp(word, "unix:", 5) == 0) {
            memcached_server_add_unix_socket(client, word + 5);
        } else {
            memcached_server_add(client, pool_printf("%.*s", (int) (colon - word), word),
                                 (in_port_t) strtoul(colon + 1, NULL, 10));
        }
        memcached_behavior_set(client, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, 500);
        memcached_behavior_set(client, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 500);
        stat = memcached_stat(client, NULL, &rc);
        up = stat != NULL && rc == MEMCACHED_SUCCESS && stat->pid > 0;
        *good = *good && up;
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "grid", grid,
                                             "server", word, "state", up ? "up" : "down", "items",
                                             (json_int_t) (up ? stat->curr_items : 0), "hits",
                                             (json_int_t) (up ? stat->get_hits : 0), "misses",
                                             (json_int_t) (up ? stat->get_misses : 0)));
        if (stat != NULL) {
            memcached_stat_free(client, stat);
        }
        memcached_free(client);
    }
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


static json_t *
gather(const unit_t *unit, bool *good)
{
    json_t *grids = json_array();
    json_t *mesh, *messages;
    PGconn *db;
    json_t *all = json_pack("{s:s, s:o, s:o}", "unit", unit->id, "processes", processes(unit, good),
                            "grid", grids);

    grid_servers("documents", unit_setting(unit, "PUNIT_GRID"), grids, good);
    grid_servers("tokens", unit_setting(unit, "PUNIT_TOKEN_GRID"), grids, good);
    db = database_open(unit, "postgres", NULL);
    if (db == NULL) {
        *good = false;
        return all;
    }
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
    mesh = mesh_state(db);
    *good = *good && mesh != NULL && mesh_good(mesh) && json_object_get(messages, "failing") == NULL
            && json_object_get(messages, "given up") == NULL;
    json_object_set_new(all, "mesh", mesh != NULL ? mesh : json_array());
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


static void
print(const json_t *all)
{
    static const char *const process[] = { "name", "state", "pid", "up_s", "restarts", "result" };
    static const char *const grid[] = { "grid", "server", "state", "items", "hits", "misses" };
    const json_t            *mesh = json_object_get(all, "mesh");

    output_objects(json_object_get(all, "processes"), process, 6);
    puts("");
    output_objects(json_object_get(all, "grid"), grid, 6);
    puts("");
    if (mesh == NULL) {
        return;
    }
    print_schema(json_object_get(all, "schema"));
    print_numbers("users", json_object_get(all, "users"));
    print_numbers("moves", json_object_get(all, "moves"));
    print_numbers("generations", json_object_get(all, "generations"));
    print_numbers("messages", json_object_get(all, "messages"));
    puts("");
    mesh_print(mesh);
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
    if (arguments_value(arguments, "json") != NULL) {
        json_object_set_new(all, "good", json_boolean(good));
        output_json(all);
    } else {
        print(all);
        json_decref(all);
    }
    return good ? EXIT_OK : EXIT_FAILED;
}
