#include "lib/http/route.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/config.h"
#include "lib/http/binary_array.h"
#include "lib/http/owned.h"
#include "lib/http/path.h"
#include "lib/http/sql.h"

#define VALUES_MAX (sizeof(((punit_route_t *) 0)->bind) / sizeof(punit_bind_t))


const punit_route_t *
punit_route_find(punit_arena_t *arena, const punit_route_t *routes, const char *method,
                 const char *path, const char *placeholders[8], const char **allow)
{
    const char *get = strcmp(method, "HEAD") == 0 ? "GET" : method;

    *allow = NULL;

    for (const punit_route_t *route = routes; route->method != NULL; route++) {
        const char *values[8] = { NULL };

        if (!punit_path_match(arena, route->path, path, values)) {
            continue;
        }

        /* NGINX gives a subrequest the method of its main request. */
        if (route->class == PUNIT_INTERNAL || strcmp(route->method, get) == 0) {
            memcpy(placeholders, values, sizeof(values));
            return route;
        }

        const char *methods = strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;

        *allow = *allow != NULL ? punit_arena_format(arena, "%s, %s", *allow, methods) : methods;
    }

    return NULL;
}


/* *length is set only for a value in binary format. */
static const char *
bind_value(const punit_request_t *r, const punit_bind_t *bind, int *length)
{
    switch (bind->source) {
    case PUNIT_BIND_END:
        return NULL;

    case PUNIT_BIND_USER:
        return r->user;

    case PUNIT_BIND_STALE:
        return r->stale ? "true" : "false";

    case PUNIT_BIND_PATH:
        return punit_request_path(r, bind->name);

    case PUNIT_BIND_ARG:
        return punit_request_arg(r, bind->name);

    case PUNIT_BIND_BODY:
        return r->body;

    case PUNIT_BIND_MEMBER:
        return punit_request_member(r, bind->name);

    case PUNIT_BIND_PRESENT:
        return json_object_get(r->json, bind->name) != NULL ? "true" : "false";

    case PUNIT_BIND_KEY:
        return r->key;

    case PUNIT_BIND_ROUTE:
        return punit_request_route(r);

    case PUNIT_BIND_SHA:
        return r->body_sha;

    case PUNIT_BIND_LIMIT:
        return punit_arena_format(r->arena, "%ld", r->limit);

    case PUNIT_BIND_CURSOR:
        return r->cursor[bind->index];

    case PUNIT_BIND_UNIT:
        return punit_config.unit;

    case PUNIT_BIND_PARAM:
        return punit_request_param(r, bind->name);

    case PUNIT_BIND_ARRAY:
        return punit_binary_array(r->arena, r->json, bind->name, (punit_value_type_t) bind->index,
                                  length);
    }

    return NULL;
}


/* The problem of a statement that answers an error's status and no body. */
static punit_problem_t *
status_problem(punit_request_t *r, const PGresult *rows, int status)
{
    const char         *name = punit_rows_text(rows, 0, "problem");
    const char         *detail = punit_rows_text(rows, 0, "detail");
    const punit_kind_t *kind = punit_problem_of_status(status);

    if (name != NULL) {
        punit_kind_t *own = punit_arena_alloc(r->arena, sizeof(punit_kind_t));

        *own = (punit_kind_t){ status, punit_arena_copy(r->arena, name), kind->title };
        kind = own;
    }

    return detail != NULL ? punit_problem(r->arena, kind, "%s", detail)
                          : punit_problem(r->arena, kind, NULL);
}


punit_problem_t *
punit_route_answer(punit_request_t *r, const PGresult *rows, punit_answer_t *a)
{
    const char *body = punit_rows_text(rows, 0, "body");

    a->status = (int) punit_rows_number(rows, 0, "status");

    if (a->status == 0) {
        a->status = 200;
    }

    if (a->status >= 400 && body == NULL) {
        return status_problem(r, rows, a->status);
    }

    a->body = body;
    a->etag = punit_rows_text(rows, 0, "etag");
    a->location = punit_rows_text(rows, 0, "location");

    if (r->stale) {
        a->is_stale = true;
        a->stale = (long) punit_rows_number(rows, 0, "age");
    }

    if (r->route->list && body != NULL) {
        const char *next = punit_rows_text(rows, 0, "next");

        a->body = next != NULL ? punit_arena_format(r->arena, "{\"items\":%s,\"next\":\"%s\"}",
                                                    body, punit_cursor_encode(r->arena, next))
                               : punit_arena_format(r->arena, "{\"items\":%s,\"next\":null}", body);
    }

    return NULL;
}


/* After a change of reference data the grid's generation rises before the answer, so that the
 * editor reads the change at once. gridd does the same at the NOTIFY. */
static void
raise_generation(punit_request_t *r)
{
    const char *service = r->service_name;
    PGresult   *rows;

    if (punit_sql_query(r, "select punit.generation_of($1) as gen", 1, &service, &rows, NULL)
            == NULL
        && punit_rows_text(rows, 0, "gen") != NULL)
    {
        punit_grid_answered(r->grid, service, strtoull(punit_rows_text(rows, 0, "gen"), NULL, 10));
    }
}


punit_problem_t *
punit_route_run(punit_request_t *r, punit_answer_t *a)
{
    const punit_route_t *route = r->route;

    if (route->handler != NULL) {
        punit_problem_t *problem = route->handler(r, a);

        if (problem == NULL && route->class == PUNIT_REFERENCE && strcmp(r->method, "GET") != 0) {
            raise_generation(r);
        }

        return problem;
    }

    const char      *values[VALUES_MAX];
    int              lengths[VALUES_MAX] = { 0 };
    int              n = 0;
    PGresult        *rows = NULL;
    punit_problem_t *problem;

    while (n < (int) VALUES_MAX && route->bind[n].source != PUNIT_BIND_END) {
        values[n] = bind_value(r, &route->bind[n], &lengths[n]);
        n++;
    }

    if (route->class == PUNIT_OWNED) {
        problem = punit_owned_query_mixed(r, r->user, r->statement, n, values, lengths, &rows, a);
    } else {
        problem = punit_sql_query_mixed(r, r->statement, n, values, lengths, &rows, a);
    }

    if (problem != NULL || rows == NULL) {
        return problem;
    }

    if (PQntuples(rows) == 0) {
        return punit_problem(r->arena, &punit_problem_not_found, NULL);
    }

    problem = punit_route_answer(r, rows, a);

    if (problem == NULL && route->class == PUNIT_REFERENCE) {
        if (strcmp(r->method, "GET") == 0) {
            r->generation = punit_rows_text(rows, 0, "punit_gen");
        } else {
            raise_generation(r);
        }
    }

    return problem;
}
