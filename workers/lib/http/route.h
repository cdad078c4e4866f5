/* Route: one row of a service's table. The library does all that the row declares.
 *
 * A statement answers ONE row. Its columns are known by name:
 * - status int: 200 when there is none.
 * - body: any type whose text is JSON. With a null and a status from 400 on, the library makes the
 *   problem+json of that status. With a null and any other status there is no body.
 * - epoch bigint: required on OWNED routes, from the fence or from punit.own.
 * - etag, location: optional.
 * - age int: the seconds since the copy was true. Required where `stale` is set.
 * - problem, detail: optional. Name (urn:punit:<problem>) and detail of the status's problem.
 * - next: of lists, a JSON array with the last item's key, null at the end (see PUNIT_PAGE).
 * An OWNED statement gives no row exactly when this unit does not own the user. On the other
 * classes no row means 404.
 *
 * An OWNED statement is made of the parts in lib/pg/ownership.h. $1 is PUNIT_P_USER:
 * - a read: "select o.epoch, ... as body" PUNIT_OWNERSHIP_FROM " left join x.y on ..."
 *   PUNIT_OWNERSHIP_READABLE. $2 is PUNIT_P_STALE.
 * - a simple write: PUNIT_OWNERSHIP_FENCE ", done as (update x.y set ... from fence
 *   where user_id = $1 and id = $2 returning ...) select f.epoch, case when d.id is null then 404
 *   else 200 end as status, ... as body from fence f left join done d on true"
 * - a write that reads other rows of the user: select * from x.f($1, ...). x.f is plpgsql, calls
 *   punit.bump first, and returns no row when that gives none.
 *
 * Times in bodies: punit.rfc3339(timestamptz). search_path is empty, so a name needs its schema. */
#ifndef PUNIT_LIB_HTTP_ROUTE_H
#define PUNIT_LIB_HTTP_ROUTE_H

#include <libpq-fe.h>

#include "lib/http/member.h"
#include "lib/http/request.h"

typedef enum {
    PUNIT_PUBLIC,    /* anyone, with or without a token */
    PUNIT_REFERENCE, /* GET: anyone the module lets in, by the grid; others: `role` */
    PUNIT_OWNED,     /* a user, at the unit that owns the user */
    PUNIT_INTERNAL,  /* nginx's internal locations (/punit/...): any method, no body */
} punit_class_t;

/* Where a parameter of the statement comes from. All but arrays are sent as text. Null when absent.
 */
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
#define PUNIT_P_USER        { PUNIT_BIND_USER, NULL, 0 }   /* uuid of the token's subject */
#define PUNIT_P_STALE       { PUNIT_BIND_STALE, NULL, 0 }  /* boolean: a copy may answer */
#define PUNIT_P_PATH(n)     { PUNIT_BIND_PATH, n, 0 }      /* path placeholder */
#define PUNIT_P_ARG(n)      { PUNIT_BIND_ARG, n, 0 }       /* query argument */
#define PUNIT_P_BODY        { PUNIT_BIND_BODY, NULL, 0 }   /* whole body, as the client wrote it */
#define PUNIT_P_MEMBER(n)   { PUNIT_BIND_MEMBER, n, 0 }    /* member of the body */
#define PUNIT_P_PRESENT(n)  { PUNIT_BIND_PRESENT, n, 0 }   /* boolean: the body has it, even null */
#define PUNIT_P_KEY         { PUNIT_BIND_KEY, NULL, 0 }    /* Idempotency-Key */
#define PUNIT_P_ROUTE       { PUNIT_BIND_ROUTE, NULL, 0 }  /* "POST /activities" */
#define PUNIT_P_SHA         { PUNIT_BIND_SHA, NULL, 0 }    /* bytea: SHA-256 of the body */
#define PUNIT_P_LIMIT       { PUNIT_BIND_LIMIT, NULL, 0 }  /* of a list */
#define PUNIT_P_CURSOR(i)   { PUNIT_BIND_CURSOR, NULL, i } /* i-th key value, null on page 1 */
#define PUNIT_P_ARRAY(n, t) { PUNIT_BIND_ARRAY, n, t }     /* array: a member of each object */
#define PUNIT_P_UNIT        { PUNIT_BIND_UNIT, NULL, 0 }   /* this unit's id */
#define PUNIT_P_PARAM(n)    { PUNIT_BIND_PARAM, n, 0 }     /* FastCGI parameter, as PUNIT_JTI */
/* clang-format on */

/* The columns body and next of a list, made from a CTE
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

/* Does what a statement cannot. Fills the answer or gives a problem. */
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
    punit_value_type_t    cursor[PUNIT_CURSOR_MAX + 1]; /* types of a list's key */
    const punit_arg_t    *args;     /* query arguments, beside limit and cursor */
    const punit_member_t *members;  /* the body; NULL = takes none */
    size_t                body_max; /* its bytes, if not PUNIT_BODY_MAX */
    const char           *sql;
    punit_bind_t          bind[24]; /* $1, $2, ... */
    punit_handler_pt      handler;  /* instead of sql */
};

/* The row for method and path. When there is none: *allow is NULL if no row has that path (404),
 * otherwise the methods for Allow (405). */
const punit_route_t *punit_route_find(punit_arena_t *arena, const punit_route_t *routes,
                                      const char *method, const char *path,
                                      const char *placeholders[8], const char **allow);

/* Runs a route's statement or handler, after the checks. */
punit_problem_t *punit_route_run(punit_request_t *r, punit_answer_t *a);

/* Fills the answer from the first row of a statement. */
punit_problem_t *punit_route_answer(punit_request_t *r, const PGresult *rows, punit_answer_t *a);

#endif
