#include "auth/token/pair.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/auth.h"
#include "lib/pg/bytea.h"


static void
wipe(void *secret)
{
    sodium_memzero(secret, REFRESH_TOKEN_SECRET);
}


static void
draw(punit_request_t *r, pair_t *pair)
{
    unsigned char family[REFRESH_TOKEN_SUM], whole[REFRESH_TOKEN_SUM];
    struct tm     tm;
    char          text[32];

    pair->user = pair->refresh.user;
    pair->iat = time(NULL);
    pair->exp = pair->iat + ACCESS_TOKEN_LIFE;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&pair->exp, &tm));
    pair->exp_text = punit_arena_copy(r->arena, text);
    punit_uuid_new(pair->jti);
    refresh_token_sums(&pair->refresh, family, whole);
    pair->family_sum = punit_bytea_text(r->arena, family, sizeof(family));
    pair->refresh_sum = punit_bytea_text(r->arena, whole, sizeof(whole));
    punit_arena_own(r->arena, wipe, pair->refresh.secret);
}


pair_t *
pair_new(punit_request_t *r, const char *user)
{
    pair_t *pair = punit_arena_alloc(r->arena, sizeof(*pair));
    char   *sid = punit_arena_alloc(r->arena, PUNIT_UUID_SIZE);

    punit_uuid_new(sid);
    pair->sid = sid;
    refresh_token_new(&pair->refresh, user);
    draw(r, pair);
    return pair;
}


pair_t *
pair_next(punit_request_t *r, const refresh_token_t *from)
{
    pair_t *pair = punit_arena_alloc(r->arena, sizeof(*pair));

    refresh_token_next(&pair->refresh, from);
    draw(r, pair);
    return pair;
}


static void
free_json(void *json)
{
    json_decref(json);
}


punit_problem_t *
pair_answer(punit_request_t *r, const pair_t *pair, const PGresult *rows, int status,
            punit_answer_t *a)
{
    char        text[REFRESH_TOKEN_SIZE];
    const char *gen = punit_rows_text(rows, 0, "gen");
    const char *roles = punit_rows_text(rows, 0, "roles");

    if (gen == NULL || roles == NULL) {
        punit_log(PUNIT_LOG_ERROR, "no-credential", "user=%s", pair->user);
        return punit_problem(r->arena, &punit_problem_internal, NULL);
    }

    access_claims_t claims = {
        .user = pair->user,
        .jti = pair->jti,
        .sid = pair->sid,
        .roles = roles,
        .iat = pair->iat,
        .exp = pair->exp,
        .epoch = (uint64_t) punit_rows_number(rows, 0, "epoch"),
        .gen = (uint64_t) punit_rows_number(rows, 0, "gen"),
    };
    char *access = access_token_issue(&auth.issuer, &claims);
    if (access == NULL) {
        punit_log(PUNIT_LOG_ERROR, "token-not-signed", "user=%s", pair->user);
        return punit_problem(r->arena, &punit_problem_internal, NULL);
    }

    punit_arena_own(r->arena, free, access);

    refresh_token_format(&pair->refresh, text);
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "user_id", pair->user, "access_token", access,
                  "refresh_token", text, "token_type", "Bearer", "expires_in",
                  (int) (pair->exp - pair->iat), "unit", punit_config.unit);
    punit_arena_own(r->arena, free_json, body);
    char *dump = json_dumps(body, JSON_COMPACT);
    if (dump == NULL) {
        return punit_problem(r->arena, &punit_problem_internal, NULL);
    }

    punit_arena_own(r->arena, free, dump);

    a->status = status;
    a->body = dump;
    a->no_store = true;
    a->owner_unit = punit_config.unit;
    a->owner_epoch = (long long) claims.epoch;
    return NULL;
}
