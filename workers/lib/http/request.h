/* Request: all that a service knows of a request. It lives in its arena. */
#ifndef PUNIT_LIB_HTTP_REQUEST_H
#define PUNIT_LIB_HTTP_REQUEST_H

#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/grid/grid.h"
#include "lib/http/answer.h"
#include "lib/http/body.h"
#include "lib/http/cursor.h"
#include "lib/http/problem.h"
#include "lib/http/query.h"
#include "lib/pg/pool.h"

typedef struct punit_route punit_route_t;

typedef struct {
    punit_arena_t       *arena;
    punit_pool_t        *pool;
    punit_grid_t        *grid; /* this thread's client, never NULL */
    punit_grid_t        *token_grid;
    const punit_route_t *route;        /* NULL until one is found, as the next two */
    const char          *route_method; /* "POST" */
    const char          *route_path;   /* "/activities/{id:uuid}" */
    const char          *service_name;
    const char          *statement; /* the route's, as prepared (see service.c) */
    const char  *generation; /* decimal, of the snapshot that a reference GET read; or NULL */
    char *const *params;     /* FastCGI parameters, "NAME=value", NULL-ended */
    int64_t      deadline;   /* punit_clock_ms() until which an answer must be there */

    const char *method; /* GET also for HEAD */
    bool        head;
    const char *path; /* decoded */

    /* Absent ones are NULL. */
    const char *id;    /* PUNIT_REQUEST_ID */
    const char *user;  /* uuid of the token's subject, lower case */
    const char *roles; /* separated by spaces */
    const char *jti;
    const char *gen;
    const char *from;   /* peer that forwarded it */
    const char *client; /* address */
    const char *grid_key;
    const char *if_none_match;
    const char *key;   /* Idempotency-Key, only where the route takes it */
    long long   epoch; /* PUNIT_EPOCH, 0 = none */
    bool        stale; /* PUNIT_ROUTE is stale: a copy may answer, the owner is down */

    const char          *placeholders[8]; /* values of the path's placeholders, in order */
    const punit_query_t *query;
    json_t              *json; /* checked body, or NULL */
    const char          *body; /* its bytes, NUL-ended, or NULL */
    size_t               body_length;
    const char *body_sha; /* "\x<64 hex>", of the bytes; set where there is a body or key */
    long        limit;    /* of a list */
    const char *cursor[PUNIT_CURSOR_MAX];
} punit_request_t;

/* Fills the request from r->params. Checks nothing yet. */
void punit_request_fill(punit_request_t *r);

/* A FastCGI parameter, NULL when absent or empty. */
const char *punit_request_param(const punit_request_t *r, const char *name);

/* The value of the path placeholder {name:type}. NULL when the route has none of that name. */
const char *punit_request_path(const punit_request_t *r, const char *name);

/* The route as "POST /activities", or "- -" before there is one. */
const char *punit_request_route(const punit_request_t *r);

/* A query argument of the route's table. */
const char *punit_request_arg(const punit_request_t *r, const char *name);

/* A member of the body as text (see punit_body_text). */
const char *punit_request_member(const punit_request_t *r, const char *name);

/* Whether the token carries that role. */
bool punit_request_has_role(const punit_request_t *r, const char *role);

#endif
