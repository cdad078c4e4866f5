#include "lib/http/request_check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/digest.h"
#include "lib/http/route.h"

#define KEY_MAX 255

static const punit_arg_t list_args[] = {
    { "limit", PUNIT_INTEGER, PUNIT_BOUNDS(1, 500), .fallback = "50" },
    { .name = "cursor", .type = PUNIT_STRING },
    { 0 },
};


static punit_problem_t *
check_user(const punit_request_t *r)
{
    const punit_route_t *route = r->route;
    punit_problem_t     *problem;

    if (r->user == NULL && (route->class == PUNIT_OWNED || route->role != NULL)) {
        return punit_problem(r->arena, &punit_problem_unauthorized, NULL);
    }

    if (route->role != NULL && !punit_request_has_role(r, route->role)) {
        problem =
            punit_problem(r->arena, &punit_problem_forbidden, "It takes the role %s", route->role);
        problem->authenticate = "error=\"insufficient_scope\"";
        return problem;
    }

    return NULL;
}


static punit_problem_t *
check_key(punit_request_t *r)
{
    const char *key = r->route->idempotent ? punit_request_param(r, "PUNIT_IDEMPOTENCY_KEY") : NULL;

    if (key == NULL) {
        return NULL;
    }

    size_t len = 0;

    while (len <= KEY_MAX && key[len] >= 0x20 && key[len] <= 0x7e) {
        len++;
    }

    if (key[len] != '\0' || len > KEY_MAX) {
        return punit_problem(r->arena, &punit_problem_invalid_header,
                             "Idempotency-Key must have from 1 to %d visible ASCII characters",
                             KEY_MAX);
    }

    r->key = key;
    return NULL;
}


static punit_problem_t *
check_query(punit_request_t *r)
{
    const char      *text = punit_request_param(r, "QUERY_STRING");
    punit_query_t   *query, *list;
    punit_problem_t *problem = punit_query_parse(r->arena, text, r->route->args, &query);

    r->query = query;

    if (problem != NULL || !r->route->list) {
        return problem;
    }

    problem = punit_query_parse(r->arena, text, list_args, &list);
    if (problem != NULL) {
        return problem;
    }

    const char *cursor = punit_query_get(list, "cursor");

    r->limit = strtol(punit_query_get(list, "limit"), NULL, 10);

    return cursor != NULL ? punit_cursor_decode(r->arena, cursor, r->route->cursor, r->cursor)
                          : NULL;
}


/* Whether a Content-Type is the media type `wanted`, parameters aside. */
static bool
is_media_type(const char *type, const char *wanted)
{
    size_t len = strcspn(type, "; \t");

    return len == strlen(wanted) && strncasecmp(type, wanted, len) == 0;
}


static void
digest_body(punit_request_t *r)
{
    char *hex = punit_arena_alloc(r->arena, 2 + 64 + 1);

    memcpy(hex, "\\x", 2);

    if (punit_digest_hex(hex + 2, 32, r->body != NULL ? r->body : "", r->body_length)) {
        r->body_sha = hex;
    }
}


static punit_problem_t *
check_body(punit_request_t *r, const punit_request_check_body_t *body)
{
    const char *type = punit_request_param(r, "CONTENT_TYPE");

    if (type == NULL
            ? body->length > 0
            : !is_media_type(type, "application/json")
                  && !(r->route->merge && is_media_type(type, "application/merge-patch+json")))
    {
        return punit_problem(r->arena, &punit_problem_unsupported_type,
                             "It takes application/json");
    }

    punit_problem_t *problem = punit_body_parse(r->arena, body->text, body->kept, &r->json);

    if (problem == NULL) {
        problem = punit_member_check(r->arena, r->json, r->route->members, r->route->merge);
    }

    r->body = body->text;
    r->body_length = body->kept;
    return problem;
}


punit_problem_t *
punit_request_check(punit_request_t *r, const punit_route_t *routes,
                    const punit_request_check_body_t *body, punit_answer_t *a)
{
    const char      *allow = NULL;
    punit_problem_t *problem;

    if (r->path == NULL) {
        return punit_problem(r->arena, &punit_problem_not_found, NULL);
    }

    r->route = punit_route_find(r->arena, routes, r->method, r->path, r->placeholders, &allow);

    if (r->route == NULL && allow == NULL) {
        return punit_problem(r->arena, &punit_problem_not_found, NULL);
    }

    if (r->route == NULL) {
        a->allow = punit_arena_format(r->arena, "%s, OPTIONS", allow);

        if (strcmp(r->method, "OPTIONS") == 0) {
            a->status = 204;
            return NULL;
        }

        return punit_problem(r->arena, &punit_problem_method_not_allowed, NULL);
    }

    size_t most = r->route->body_max != 0 ? r->route->body_max : PUNIT_BODY_MAX;

    r->route_method = r->route->method;
    r->route_path = r->route->path;

    problem = check_user(r);
    if (problem != NULL) {
        return problem;
    }

    if (r->route->class != PUNIT_OWNED) {
        r->stale = false;

    } else if (r->stale && !r->route->stale) {
        return punit_problem(r->arena, &punit_problem_try_later,
                             "The unit that owns the user is down");
    }

    if (body->length > most && r->route->class != PUNIT_INTERNAL) {
        return punit_problem(r->arena, &punit_problem_too_large, "At most %zu bytes", most);
    }

    problem = check_key(r);

    if (problem == NULL) {
        problem = check_query(r);
    }

    if (problem == NULL && r->route->members != NULL) {
        problem = check_body(r, body);
    }

    if (problem == NULL && (r->key != NULL || r->body != NULL)) {
        digest_body(r);
    }

    return problem;
}
