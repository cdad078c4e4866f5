/* Route: one row of a service's table. What it says, the library does.
 *
 * A statement answers ONE row of columns by name:
 *   status int       (default 200)
 *   body             any type whose text is JSON (json, jsonb, text); null with status >= 400:
 * problem+json made from the status; null otherwise: no body epoch bigint     required on OWNED
 * routes, from the fence or punit.own etag, location   optional;  age int: seconds since the copy
 * was true (stale reads) problem, detail  optional: name (urn:punit:<problem>) and detail of a
 * problem made from the status next             lists: json array of the last item's key, null at
 * the end (see PUNIT_PAGE) An OWNED statement gives zero rows exactly when this unit does not own
 * the user. On the other classes zero rows are 404.
 *
 * OWNED write, simple form ($1 = PUNIT_P_USER):
 *   with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
 *                   where user_id = $1 and state = 'OWNED' returning ver, epoch),
 *        done as (update x.y set ... from fence where user_id = $1 and id = $2 returning ...)
 *   select f.epoch, case when d.id is null then 404 else 200 end as status, ... as body
 *     from fence f left join done d on true
 * OWNED write that reads other rows of the user: select * from x.f($1, ...) where x.f is plpgsql
 * and calls punit.bump first, returning no row when that gives none. OWNED read: select o.epoch,
 * ... as body from punit.own o left join x.y on ... where o.user_id = $1 and (o.state = 'OWNED' or
 * $2)         -- $2 = PUNIT_P_STALE, boolean Times in bodies: punit.rfc3339(timestamptz).
 * search_path is empty: write schema.name always. */
#ifndef PUNIT_LIB_HTTP_ROUTE_H
#define PUNIT_LIB_HTTP_ROUTE_H

#include <libpq-fe.h>

#include "lib/http/request.h"

typedef enum {
    PUNIT_PUBLIC,    /* anyone; PUNIT_USER may be set */
    PUNIT_REFERENCE, /* GET: anyone (the module asks for the token), grid; others: `role` */
    PUNIT_OWNED,     /* a user, at the unit that owns him */
    PUNIT_INTERNAL,  /* nginx's internal locations (/punit/...): any method, no body */
} punit_class_t;

/* Where a parameter of the statement comes from. All are sent as text, null when absent. */
typedef enum {
    PUNIT_BIND_END,
    PUNIT_BIND_USER,
    PUNIT_BIND_STALE,
    PUNIT_BIND_PATH,
    PUNIT_BIND_ARG,
    PUNIT_BIND_BODY,
    PUNIT_BIND_MEMBER,
    PUNIT_BIND_PRESENT,
    PUNIT_BIND_KEY,
    PUNIT_BIND_ROUTE,
    PUNIT_BIND_SHA,
    PUNIT_BIND_LIMIT,
    PUNIT_BIND_CURSOR,
    PUNIT_BIND_UNIT,
    PUNIT_BIND_PARAM,
    PUNIT_BIND_ARRAY,
} punit_source_t;

typedef struct {
    punit_source_t source;
    const char    *name;
    int            index;
} punit_bind_t;

/* clang-format off */
#define PUNIT_P_USER          { PUNIT_BIND_USER, NULL, 0 }      /* uuid of the token's subject */
#define PUNIT_P_STALE         { PUNIT_BIND_STALE, NULL, 0 }     /* boolean: a copy may answer */
#define PUNIT_P_PATH(n)       { PUNIT_BIND_PATH, n, 0 }         /* path placeholder */
#define PUNIT_P_ARG(n)        { PUNIT_BIND_ARG, n, 0 }          /* query argument */
#define PUNIT_P_BODY          { PUNIT_BIND_BODY, NULL, 0 }      /* whole body, as the client wrote it */
#define PUNIT_P_MEMBER(n)     { PUNIT_BIND_MEMBER, n, 0 }       /* member of the body */
#define PUNIT_P_PRESENT(n)    { PUNIT_BIND_PRESENT, n, 0 }      /* boolean: member is there (null too) */
#define PUNIT_P_KEY           { PUNIT_BIND_KEY, NULL, 0 }       /* Idempotency-Key */
#define PUNIT_P_ROUTE         { PUNIT_BIND_ROUTE, NULL, 0 }     /* "POST /activities" */
#define PUNIT_P_SHA           { PUNIT_BIND_SHA, NULL, 0 }       /* bytea: SHA-256 of the body */
#define PUNIT_P_LIMIT         { PUNIT_BIND_LIMIT, NULL, 0 }     /* of a list */
#define PUNIT_P_CURSOR(i)     { PUNIT_BIND_CURSOR, NULL, i }    /* i-th key value, null on the first page */
#define PUNIT_P_ARRAY(n, t)   { PUNIT_BIND_ARRAY, n, t }      /* member of each object, an array */
#define PUNIT_P_UNIT          { PUNIT_BIND_UNIT, NULL, 0 }      /* this unit's id */
#define PUNIT_P_PARAM(n)      { PUNIT_BIND_PARAM, n, 0 }        /* FastCGI parameter, e.g. PUNIT_JTI */
/* clang-format on */

/* The columns body and next of a list, from a CTE
 *   page as (select row_number() over (order by <keys>) as n, json_build_object(...) as item,
 *                   json_build_array(<keys>) as key
 *              from ... where ($C::timestamptz is null or (<keys>) > ($C, $D))
 *             order by <keys> limit <limit> + 1)
 * `limit` is the parameter with its cast: "$3::int". The library makes {"items":[...],"next":...}.
 */
#define PUNIT_PAGE(limit)                                                            \
    "(select '[' || coalesce(string_agg(p.item::text, ',' order by p.n), '') || ']'" \
    "   from page p where p.n <= " limit ") as body,"                                \
    "(select p.key from page p where p.n = " limit                                   \
    "   and exists (select from page q where q.n > " limit ")) as next"

/* Does what a statement cannot. Fills the answer, or gives a problem. */
typedef punit_problem_t *(*punit_handler_pt)(punit_request_t *r, punit_answer_t *a);

struct punit_route {
    const char *method; /* "GET" (HEAD comes with it), NULL ends the table */
    const char *path;   /* "/activities/{id:uuid}"; types uuid, string, integer; one segment each */
    punit_class_t class;
    const char           *role;       /* role needed, NULL = none */
    bool                  idempotent; /* takes Idempotency-Key */
    bool                  stale;      /* a copy may answer while the owner is down (GET) */
    bool                  merge;      /* body is a merge patch (RFC 7396) */
    bool                  list;       /* takes limit (1..500, default 50) and cursor */
    punit_type_t          cursor[PUNIT_CURSOR_MAX + 1]; /* types of a list's key */
    const punit_arg_t    *args;    /* query arguments, beside limit and cursor */
    const punit_member_t *members; /* the body; NULL = takes none */
    const char           *sql;
    punit_bind_t          bind[24]; /* $1, $2, ... */
    punit_handler_pt      handler;  /* instead of sql */
};

/* Whether path matches pattern; then the placeholders' values in order. Pure but for the arena. */
bool punit_route_match(punit_arena_t *arena, const char *pattern, const char *path,
                       const char *placeholders[8]);

/* Finds the row for method and path. NULL: *allow is NULL when no row has that path (404), else the
 * methods for Allow (405). */
const punit_route_t *punit_route_find(punit_arena_t *arena, const punit_route_t *routes,
                                      const char *method, const char *path,
                                      const char *placeholders[8], const char **allow);

/* Position of a placeholder's name in a pattern, -1 if none. */
int punit_route_placeholder(const char *pattern, const char *name);

/* Runs a route's statement or handler: the checks came before. */
punit_problem_t *punit_route_run(punit_request_t *r, punit_answer_t *a);

/* Fills the answer from the first row of a statement (columns as above). */
punit_problem_t *punit_route_answer(punit_request_t *r, const PGresult *rows, punit_answer_t *a);

#endif
