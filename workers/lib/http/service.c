#include "lib/http/service.h"

#include <fcgiapp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/reload.h"
#include "lib/base/signals.h"
#include "lib/base/socket.h"
#include "lib/http/answer.h"
#include "lib/http/front.h"
#include "lib/http/health.h"
#include "lib/http/request_check.h"
#include "lib/http/sql.h"
#include "lib/pg/conninfo.h"

#define STACK_BYTES (1024 * 1024)
#define STOP_MS     1500 /* running requests may take after SIGTERM, if nobody takes over */
#define SETTLE_MS   30   /* a request just being read is not counted yet */
#define GRACE_MS    1000 /* beyond the deadline of a request, if somebody takes over */

typedef struct worker worker_t;

typedef struct {
    const punit_service_t *service;
    worker_t              *workers;    /* as many as threads */
    punit_route_t         *routes;     /* the service's, /health and /ready */
    const char           **statements; /* of the routes, in their order */
    punit_pool_t          *pool;
    punit_front_t         *front;
    int                    listener;
    bool                   own; /* the listener: it ends with the process */
} server_t;

struct worker {
    server_t     *server;
    int           number;
    pthread_t     thread;
    punit_grid_t *grid;
    punit_grid_t *token_grid;
};


/* A reference GET reads the generation in the same snapshot as its data. So the grid never marks a
 * document newer than it is. */
static const char *
statement_of(const punit_service_t *service, const punit_route_t *route)
{
    char *sql;

    if (route->sql == NULL || route->class != PUNIT_REFERENCE || strcmp(route->method, "GET") != 0)
    {
        return route->sql;
    }

    if (asprintf(&sql,
                 "select g.gen as punit_gen, s.* from (%s) s "
                 "cross join (select punit.generation_of('%s') as gen) g",
                 route->sql, service->name)
        < 0)
    {
        abort();
    }

    return sql;
}


static bool
build_routes(server_t *server, const punit_service_t *service)
{
    size_t n = 0;
    char  *path;

    while (service->routes[n].method != NULL) {
        n++;
    }

    server->routes = calloc(n + 3, sizeof(punit_route_t));
    server->statements = calloc(n + 3, sizeof(char *));

    if (server->routes == NULL || server->statements == NULL
        || asprintf(&path, "/%s/health", service->name) < 0)
    {
        return false;
    }

    memcpy(server->routes, service->routes, n * sizeof(punit_route_t));
    server->routes[n] = (punit_route_t){ "GET", path, PUNIT_PUBLIC, .handler = punit_health };
    server->routes[n + 1] =
        (punit_route_t){ "GET", "/ready", PUNIT_PUBLIC, .handler = punit_ready };

    for (size_t i = 0; i < n; i++) {
        server->statements[i] = statement_of(service, &service->routes[i]);
    }

    return true;
}


/* Reads the body to its end even when it is too large. Otherwise the rest would be taken for the
 * next request of a kept connection. */
static void
read_body(punit_request_t *r, FCGX_Stream *in, punit_request_check_body_t *body)
{
    const char *length = punit_request_param(r, "CONTENT_LENGTH");
    size_t      expected = length != NULL ? strtoul(length, NULL, 10) : 0;
    size_t      size = expected < PUNIT_BODY_MOST ? expected : PUNIT_BODY_MOST;
    char        rest[8192];
    int         n;

    body->text = punit_arena_alloc(r->arena, size + 1);
    body->kept = 0;

    while (body->kept < size
           && (n = FCGX_GetStr(body->text + body->kept, (int) (size - body->kept), in)) > 0)
    {
        body->kept += (size_t) n;
    }

    body->length = body->kept;

    while ((n = FCGX_GetStr(rest, sizeof(rest), in)) > 0) {
        body->length += (size_t) n;
    }
}


/* Answers 304 when the client has the document. The grid gets what a reference GET answered. */
static void
finish_answer(punit_request_t *r, punit_answer_t *a)
{
    if (a->status == 0) {
        a->status = 200;
    }

    if (a->body != NULL && a->length == 0) {
        a->length = strlen(a->body);
    }

    if (a->type == NULL) {
        a->type = "application/json";
    }

    if (a->status != 200 || a->body == NULL || strcmp(r->method, "GET") != 0 || r->route == NULL
        || r->route->class == PUNIT_INTERNAL)
    {
        return;
    }

    if (a->etag == NULL) {
        a->etag = punit_answer_etag(r->arena, a->body, a->length);
    }

    if (r->generation != NULL && r->grid_key != NULL && a->etag != NULL) {
        punit_grid_store(r->grid, r->service_name, r->grid_key, strtoull(r->generation, NULL, 10),
                         a->etag, a->type, a->body, a->length);

    } else if (r->generation != NULL) {
        punit_grid_answered(r->grid, r->service_name, strtoull(r->generation, NULL, 10));
    }

    if (r->if_none_match != NULL && a->etag != NULL
        && punit_answer_etag_matches(r->if_none_match, a->etag))
    {
        a->status = 304;
        a->body = NULL;
    }
}


static void
log_request(const punit_request_t *r, const punit_answer_t *a, const punit_problem_t *problem,
            int64_t took)
{
    char id[80], path[256];

    punit_log_later(a->status >= 500 ? PUNIT_LOG_WARN : PUNIT_LOG_INFO, "request",
                    "request=%s user=%s method=%s route=%s status=%d problem=%s ms=%lld",
                    r->id != NULL ? punit_log_quote(id, sizeof(id), r->id) : "-",
                    r->user != NULL ? r->user : "-", r->route != NULL ? r->route->method : "-",
                    punit_log_quote(path, sizeof(path),
                                    r->route != NULL ? r->route->path : r->path),
                    a->status, problem != NULL ? problem->kind->name : "-", (long long) took);
}


static void
serve(worker_t *worker, FCGX_Request *fcgi, punit_arena_t *arena)
{
    server_t                  *server = worker->server;
    int64_t                    start = punit_clock_ms();
    punit_answer_t             answer = { 0 };
    punit_request_check_body_t body;
    punit_request_t            r = {
                   .arena = arena,
                   .service_name = server->service->name,
                   .pool = server->pool,
                   .grid = worker->grid,
                   .token_grid = worker->token_grid,
                   .params = fcgi->envp,
                   .deadline = start + punit_config.deadline_ms,
    };

    punit_request_fill(&r);
    read_body(&r, fcgi->in, &body);

    punit_problem_t *problem = punit_request_check(&r, server->routes, &body, &answer);

    if (problem == NULL && r.route != NULL) {
        r.statement = server->statements[r.route - server->routes];
        problem = punit_route_run(&r, &answer);
    }

    if (problem != NULL) {
        punit_answer_problem(arena, &answer, problem);
    }

    if (server->service->no_store && answer.max_age == 0) {
        answer.no_store = true;
    }

    finish_answer(&r, &answer);

    const char *head = punit_answer_head(arena, &answer, problem);

    FCGX_PutStr(head, (int) strlen(head), fcgi->out);

    if (answer.body != NULL && !r.head) {
        FCGX_PutStr(answer.body, (int) answer.length, fcgi->out);
    }

    int64_t took = punit_clock_ms() - start;

    /* libfcgi sends the end of the request when the second stream is closed. FCGX_Finish_r frees
     * what the log line needs. */
    FCGX_FClose(fcgi->err);
    FCGX_FClose(fcgi->out);
    log_request(&r, &answer, problem, took);
    FCGX_Finish_r(fcgi);
}


static void *
work(void *data)
{
    worker_t      *worker = data;
    server_t      *server = worker->server;
    punit_arena_t *arena = punit_arena_create();
    FCGX_Request   fcgi;

    /* libfcgi accepts nothing: without a listener it gives the thread back with its connection. */
    if (arena == NULL || FCGX_InitRequest(&fcgi, -1, 0) != 0) {
        punit_log(PUNIT_LOG_ERROR, "thread", "why=memory");
        abort();
    }

    while ((fcgi.ipcFd = punit_front_accept(server->front, worker->number)) >= 0) {
        /* Else libfcgi would close what it takes for the connection of a finished request. */
        fcgi.keepConnection = 1;

        while (FCGX_Accept_r(&fcgi) == 0) {
            punit_front_begin(server->front, worker->number);
            serve(worker, &fcgi, arena);
            punit_front_end(server->front, worker->number);
            punit_arena_reset(arena);
        }

        punit_front_closed(server->front, worker->number);
    }

    FCGX_Free(&fcgi, 0);
    punit_arena_destroy(arena);
    return NULL;
}


/* One grid client a thread. The clients share what they know of the servers' health. */
static bool
create_workers(server_t *server)
{
    worker_t *workers = server->workers = calloc((size_t) punit_config.threads, sizeof(worker_t));

    for (int i = 0; workers != NULL && i < punit_config.threads; i++) {
        workers[i].server = server;
        workers[i].number = i;
        workers[i].grid = punit_grid_create(punit_config.grid, workers[0].grid);
        workers[i].token_grid = punit_grid_create(punit_config.token_grid, workers[0].token_grid);

        if (workers[i].grid == NULL || workers[i].token_grid == NULL) {
            return false;
        }
    }

    return workers != NULL;
}


static bool
start_workers(server_t *server)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    for (int i = 0; i < punit_config.threads; i++) {
        int error = pthread_create(&server->workers[i].thread, &attr, work, &server->workers[i]);

        if (error != 0) {
            punit_log(PUNIT_LOG_ERROR, "thread", "number=%d errno=%d", i, error);
            return false;
        }
    }

    pthread_attr_destroy(&attr);
    return true;
}


static bool
open_listener(server_t *server)
{
    server->listener = punit_socket_inherited(SOCK_STREAM, &server->own);

    if (server->listener < 0) {
        server->own = true;
        server->listener = punit_socket_listen(punit_config.socket);
    }

    if (server->listener < 0) {
        return false;
    }

    server->front = punit_front_create(server->listener, punit_config.threads);
    return server->front != NULL;
}


/* Ends all work and lets a successor go on with the socket. The queue of the socket waits as long
 * as the last requests run. So those that began earlier end first, while others are served. */
static bool
hand_over(server_t *server)
{
    int64_t limit = punit_config.deadline_ms + GRACE_MS;

    punit_front_leave(server->front);
    punit_front_wait_old(server->front, limit);
    punit_front_shut(server->front);
    return punit_front_wait_closed(server->front, limit);
}


/* Ends without a successor. The path goes first, so that the next start does not find it in use. */
static bool
stop(server_t *server)
{
    unlink(punit_config.socket);
    punit_front_leave(server->front);
    punit_front_shut(server->front);
    shutdown(server->listener, SHUT_RDWR);
    return punit_front_wait_quiet(server->front, STOP_MS, SETTLE_MS);
}


/* Waits for a signal that it can follow. */
static int
wait_for_end(const sigset_t *ends, char **argv)
{
    int number;

    do {
        sigwait(ends, &number);
    } while (number == SIGHUP && !punit_reload_possible(argv));

    return number;
}


static int
print_routes(const punit_service_t *service)
{
    static const char *const classes[] = {
        [PUNIT_PUBLIC] = "public",
        [PUNIT_REFERENCE] = "reference",
        [PUNIT_OWNED] = "owned",
        [PUNIT_INTERNAL] = "internal",
    };
    server_t server;

    if (!build_routes(&server, service)) {
        return 1;
    }

    for (const punit_route_t *r = server.routes; r->method != NULL; r++) {
        printf("%s %s %s%s%s\n", r->method, r->path, classes[r->class], r->role != NULL ? " " : "",
               r->role != NULL ? r->role : "");
    }

    return fflush(stdout) == 0 ? 0 : 1;
}


int
punit_service_run(const punit_service_t *service, int argc, char **argv)
{
    /* Static, since threads may still use it while the process ends. */
    static server_t server;

    if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
        return print_routes(service);
    }

    if (argc > 1) {
        fprintf(stderr, "punit-%s is configured by its environment; its one option is --routes\n",
                service->name);
        return 2;
    }

    if (!punit_config_load(service->name)) {
        return 1;
    }

    sigset_t ends = punit_signals_block();
    char    *conninfo = punit_conninfo_own(punit_config.pg_user, punit_config.pg_user);

    server.service = service;

    if (sodium_init() < 0 || FCGX_Init() != 0 || conninfo == NULL || !build_routes(&server, service)
        || (server.pool = punit_pool_create(conninfo, punit_config.pg_pool)) == NULL)
    {
        punit_log(PUNIT_LOG_ERROR, "start", "why=libraries-or-memory");
        return 1;
    }

    free(conninfo);

    /* SCHED_BATCH: a thread that wakes does not preempt NGINX or PostgreSQL. This needs no
     * privilege, and a failure does no harm. */
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ .sched_priority = 0 });

    if (service->start != NULL && !service->start()) {
        return 1;
    }

    /* If that fails, the log is written line by line. */
    punit_log_keep();

    if (!create_workers(&server) || !open_listener(&server) || !start_workers(&server)) {
        return 1;
    }

    punit_log(PUNIT_LOG_INFO, "start", "version=%s unit=%s threads=%d pool=%d", PUNIT_VERSION,
              punit_config.unit, punit_config.threads, punit_config.pg_pool);

    int  number = wait_for_end(&ends, argv);
    bool reload = number == SIGHUP;
    bool clean = reload || !server.own ? hand_over(&server) : stop(&server);

    punit_log(PUNIT_LOG_INFO, reload ? "reload" : "stop", "signal=%d running=%d", number,
              punit_front_running(server.front));

    punit_log_flush();

    if (reload) {
        punit_reload(server.listener, server.own, argv);
        clean = false;
    }

    /* Threads may still wait in libfcgi for a request of a kept connection, and use what exit(3)
     * would tear down. */
    _exit(clean ? 0 : 1);
}
