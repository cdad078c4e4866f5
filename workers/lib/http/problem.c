#include "lib/http/problem.h"

#include <jansson.h>
#include <stdlib.h>

/* clang-format off */
const punit_kind_t punit_problem_malformed =
    { 400, "malformed", "The body is not JSON" };
const punit_kind_t punit_problem_invalid_query =
    { 400, "invalid-query", "The query string is not valid" };
const punit_kind_t punit_problem_invalid_header =
    { 400, "invalid-header", "A request header is not valid" };
const punit_kind_t punit_problem_unauthorized =
    { 401, "unauthorized", "A token is needed" };
const punit_kind_t punit_problem_unknown_user =
    { 401, "unknown-user", "No unit knows this user" };
const punit_kind_t punit_problem_forbidden =
    { 403, "forbidden", "The token does not carry the right" };
const punit_kind_t punit_problem_not_found =
    { 404, "not-found", "There is nothing of that name" };
const punit_kind_t punit_problem_method_not_allowed =
    { 405, "method-not-allowed", "Not with this method" };
const punit_kind_t punit_problem_conflict =
    { 409, "conflict", "It contradicts what is there already" };
const punit_kind_t punit_problem_too_large =
    { 413, "too-large", "The body is too large" };
const punit_kind_t punit_problem_unsupported_type =
    { 415, "unsupported-type", "The body's type is not taken" };
const punit_kind_t punit_problem_invalid =
    { 422, "invalid", "The body is not as it must be" };
const punit_kind_t punit_problem_key_reused =
    { 422, "key-reused", "The Idempotency-Key came with another body" };
const punit_kind_t punit_problem_too_many =
    { 429, "too-many", "Too many attempts" };
const punit_kind_t punit_problem_internal =
    { 500, "internal", "A mistake on our side" };
const punit_kind_t punit_problem_try_later =
    { 503, "try-later", "Not just now" };
const punit_kind_t punit_problem_database_down =
    { 503, "database-down", "The database does not answer" };
const punit_kind_t punit_problem_unknown_outcome =
    { 503, "unknown-outcome", "Whether it was done is not known: repeat it"
                                " with the same Idempotency-Key" };
const punit_kind_t punit_problem_moving =
    { 503, "moving", "The user is just moving between units" };
/* clang-format on */

static const punit_kind_t *const by_status[] = {
    &punit_problem_malformed, &punit_problem_unauthorized,       &punit_problem_forbidden,
    &punit_problem_not_found, &punit_problem_method_not_allowed, &punit_problem_conflict,
    &punit_problem_too_large, &punit_problem_unsupported_type,   &punit_problem_invalid,
    &punit_problem_too_many,  &punit_problem_internal,           &punit_problem_try_later,
};


punit_problem_t *
punit_problem(punit_arena_t *arena, const punit_kind_t *kind, const char *detail, ...)
{
    punit_problem_t *problem = punit_arena_alloc(arena, sizeof(punit_problem_t));

    problem->kind = kind;
    problem->status = kind->status;

    if (detail != NULL) {
        va_list args;

        va_start(args, detail);
        problem->detail = punit_arena_vformat(arena, detail, args);
        va_end(args);
    }

    if (kind->status == 503 || kind->status == 429) {
        problem->retry_after = 1;
    }

    return problem;
}


const punit_kind_t *
punit_problem_of_status(int status)
{
    for (size_t i = 0; i < sizeof(by_status) / sizeof(by_status[0]); i++) {
        if (by_status[i]->status == status) {
            return by_status[i];
        }
    }

    return &punit_problem_internal;
}


/* Adds JSON text as a member. A text that cannot be parsed is left out. */
static void
add_json(json_t *object, const char *name, const char *text)
{
    if (text != NULL) {
        json_object_set_new(object, name, json_loads(text, 0, NULL));
    }
}


char *
punit_problem_json(punit_arena_t *arena, const punit_problem_t *problem)
{
    json_t *object = json_object();

    json_object_set_new(object, "type", json_sprintf("urn:punit:%s", problem->kind->name));
    json_object_set_new(object, "title", json_string(problem->kind->title));
    json_object_set_new(object, "status", json_integer(problem->status));

    if (problem->detail != NULL) {
        json_object_set_new(object, "detail", json_string(problem->detail));
    }

    add_json(object, "errors", problem->errors);
    add_json(object, "failing", problem->failing);

    char *text = json_dumps(object, JSON_COMPACT);

    json_decref(object);

    if (text == NULL) {
        return punit_arena_format(arena, "{\"type\":\"urn:punit:%s\",\"status\":%d}",
                                  problem->kind->name, problem->status);
    }

    char *copy = punit_arena_copy(arena, text);

    free(text);
    return copy;
}
