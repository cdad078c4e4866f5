/* Whether a token is still good. NGINX asks /punit/introspect when the grid does not know, and has
 * verified the token. The workers of this machine ask POST /auth/introspect (RFC 7662) about a
 * token that they hold. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/auth.h"
#include "auth/token/token_grid.h"

#define EXP_UNKNOWN ACCESS_TOKEN_LIFE


/* active: nothing known ends the token. The grid learns the result. */
static punit_problem_t *
ask(punit_request_t *r, const char *jti, const char *sid, const char *user, const char *gen,
    time_t exp, bool *active)
{
    const char *values[] = { jti, sid, user, gen };
    PGresult   *rows;

    punit_problem_t *problem = punit_sql_query(r, "select auth.is_active($1, $2, $3, $4) as active",
                                               4, values, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }

    const char *value = punit_rows_text(rows, 0, "active");
    *active = value == NULL || *value == 't';
    if (jti != NULL) {
        if (*active) {
            token_grid_ok(r, jti);
        } else {
            token_grid_revoked(r, jti, exp);
        }
    }

    return NULL;
}


punit_problem_t *
introspect_request(punit_request_t *r, punit_answer_t *a)
{
    const char *exp = punit_request_param(r, "PUNIT_CLAIM_EXP");
    bool        active;

    punit_problem_t *problem =
        ask(r, r->jti, punit_request_param(r, "PUNIT_CLAIM_SID"), r->user, r->gen,
            exp != NULL ? (time_t) strtoll(exp, NULL, 10) : time(NULL) + EXP_UNKNOWN, &active);
    if (problem == NULL) {
        a->body = active ? "{\"active\":true}" : "{\"active\":false,\"reason\":\"revoked\"}";
        a->no_store = true;
    }

    return problem;
}


static void
free_json(void *json)
{
    json_decref(json);
}


static const char *
claim(const json_t *claims, const char *name, punit_value_type_t type)
{
    const char *value = json_string_value(json_object_get(claims, name));

    return value != NULL && punit_value_is(type, value, strlen(value)) ? value : NULL;
}


/* RFC 7662 2.2: scope holds the roles. The other members are the token's own. */
static const char *
describe(punit_request_t *r, json_t *claims)
{
    const char   *scope = "";
    const json_t *roles = json_object_get(claims, "roles");

    for (size_t i = 0; i < json_array_size(roles); i++) {
        const char *role = json_string_value(json_array_get(roles, i));
        if (role != NULL) {
            scope = punit_arena_format(r->arena, "%s%s%s", scope, *scope != '\0' ? " " : "", role);
        }
    }

    json_object_set_new(claims, "active", json_true());
    json_object_set_new(claims, "token_type", json_string("Bearer"));
    json_object_set_new(claims, "scope", json_string(scope));
    char *text = json_dumps(claims, JSON_COMPACT);
    if (text != NULL) {
        punit_arena_own(r->arena, free, text);
    }

    return text;
}


punit_problem_t *
introspect_token(punit_request_t *r, punit_answer_t *a)
{
    char    error[300];
    json_t *claims = NULL;
    bool    active = false;

    /* NGINX does not pass this path on. This refuses clients if a configuration does. */
    if (r->client != NULL || r->from != NULL) {
        return punit_problem(r->arena, &punit_problem_forbidden, NULL);
    }

    /* Read at each call, which is rare, since a unit may have been added. */
    token_keys_t *keys = keys_load_public(punit_config.keys, error, sizeof(error));
    if (keys == NULL) {
        char quoted[400];
        punit_log(PUNIT_LOG_ERROR, "public-keys", "why=%s",
                  punit_log_quote(quoted, sizeof(quoted), error));
        return punit_problem(r->arena, &punit_problem_try_later, NULL);
    }

    bool good = access_token_check(&auth.issuer, keys, punit_request_member(r, "token"), time(NULL),
                                   &claims);
    keys_free(keys);

    a->body = "{\"active\":false}";
    a->no_store = true;
    if (!good) {
        return NULL;
    }

    punit_arena_own(r->arena, free_json, claims);
    json_int_t       gen = json_integer_value(json_object_get(claims, "gen"));
    punit_problem_t *problem =
        ask(r, claim(claims, "jti", PUNIT_UUID), claim(claims, "sid", PUNIT_UUID),
            claim(claims, "sub", PUNIT_UUID), punit_arena_format(r->arena, "%lld", (long long) gen),
            (time_t) json_integer_value(json_object_get(claims, "exp")), &active);
    if (problem == NULL && active) {
        a->body = describe(r, claims);
        if (a->body == NULL) {
            problem = punit_problem(r->arena, &punit_problem_internal, NULL);
        }
    }

    return problem;
}
