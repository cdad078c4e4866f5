/* Request: what a worker knows of it. Lives in its arena. */
#ifndef PUNIT_LIB_HTTP_REQUEST_H
#define PUNIT_LIB_HTTP_REQUEST_H

#include <libpq-fe.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/grid/grid.h"
#include "lib/http/answer.h"
#include "lib/http/body.h"
#include "lib/http/cursor.h"
#include "lib/http/problem.h"
#include "lib/http/query.h"

struct punit_route;
struct punit_service;
struct punit_database;

typedef struct {
    punit_arena_t              *arena;
    const struct punit_service *service;
    struct punit_database      *database;
    punit_grid_t             *grid; /* this thread's clients; never NULL, may be without servers */
    punit_grid_t             *token_grid;
    const struct punit_route *route;
    const char               *service_name;
    const char               *statement; /* the route's, as prepared (see service.c) */
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

/* A FastCGI parameter, NULL when absent or empty. */
const char *punit_request_param(const punit_request_t *r, const char *name);

/* The value of the path placeholder {name:type}; NULL when the route has none of that name. */
const char *punit_request_path(const punit_request_t *r, const char *name);

/* A query argument of the route's table. */
const char *punit_request_arg(const punit_request_t *r, const char *name);

/* A member of the body as text (see punit_body_text). */
const char *punit_request_member(const punit_request_t *r, const char *name);

/* Whether the token carries that role. */
bool punit_request_has_role(const punit_request_t *r, const char *role);

/* ---- for handlers: statements of their own */

/* Runs one statement in a transaction of its own on a connection of the pool, prepared once a
 * connection; returns it before it gives the rows. `sql` must be static (its address names the
 * prepared statement). values: text format, NULL = null. *rows lives as long as the request.
 * Problems: punit_database_down (also while PostgreSQL is in recovery, unless the request is
 * stale), punit_unknown_outcome, punit_try_later (these three as 502 to a peer where the database
 * said nothing, so that its front asks on), and what SQLSTATE says: PU401 PU404 PU409 PU422 PU503,
 * 23505 (409); 40001 and 40P01 are repeated. PU421 gives no problem but *rows = NULL and a->status
 * = 421 with a->author, when `a` is given. */
punit_problem_t *punit_query(punit_request_t *r, const char *sql, int n, const char *const *values,
                             PGresult **rows, punit_answer_t *a);

/* With values in binary format, too: those that have a length (0: text). */
punit_problem_t *punit_query_mixed(punit_request_t *r, const char *sql, int n,
                                   const char *const *values, const int *lengths, PGresult **rows,
                                   punit_answer_t *a);

/* A column's text by name; NULL when null, or no such row or column. */
const char *punit_column(const PGresult *rows, int row, const char *name);

#endif
