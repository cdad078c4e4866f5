
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_signature.h>
#include <ngx_http_punit_verdict.h>
#include <openssl/sha.h>


static void ngx_http_punit_verdict_digest(u_char *digest,
    ngx_http_punit_key_set_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token);
static void ngx_http_punit_verdict_refuse(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    const u_char *digest, time_t now, const char *reason);
static ngx_uint_t ngx_http_punit_verdict_same(
    ngx_http_punit_verdict_memo_t *memo, ngx_http_punit_key_set_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token);
static void ngx_http_punit_verdict_remember(
    ngx_http_punit_verdict_memo_t *memo, ngx_http_punit_key_set_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token, u_char *digest);
static ngx_int_t ngx_http_punit_verdict_signature(
    ngx_http_punit_key_set_t *keys, ngx_http_punit_jws_t *jws,
    ngx_str_t **kid, const char **reason);


ngx_int_t
ngx_http_punit_verdict(ngx_pool_t *pool, ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_verdict_memo_t *memo,
    ngx_http_punit_key_set_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token, ngx_http_punit_claims_t *claims, const char **reason)
{
    u_char                *buf, digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    time_t                 now;
    ngx_int_t              rc;
    ngx_str_t             *kid;
    ngx_uint_t             same;
    ngx_http_punit_jws_t   jws;

    *reason = "malformed";

    if (token->len == 0 || token->len > NGX_HTTP_PUNIT_TOKEN_MAX) {
        return NGX_DECLINED;
    }

    now = ngx_time();

    same = ngx_http_punit_verdict_same(memo, keys, policy, token);

    if (same) {
        ngx_memcpy(digest, memo->digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    } else {
        ngx_http_punit_verdict_digest(digest, keys, policy, token);
    }

    if (cache) {
        rc = ngx_http_punit_verdict_cache_find(pool, cache, shpool, claims,
                                               digest,
                                           now, policy->leeway);

        if (rc == NGX_OK && !same) {
            /* A good token that comes again may come once more. */
            ngx_http_punit_verdict_remember(memo, keys, policy, token, digest);
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }

        rc = ngx_http_punit_verdict_cache_find_refused(pool, cache, shpool,
                                                       digest, now, reason);

        if (rc != NGX_DECLINED) {
            return rc == NGX_OK ? NGX_DECLINED : rc;
        }
    }

    buf = ngx_pnalloc(pool, 2 * token->len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_punit_jws_parse(&jws, token, buf, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_punit_verdict_signature(keys, &jws, &kid, reason);

    if (rc != NGX_OK) {
        ngx_http_punit_verdict_refuse(cache, shpool, digest, now, *reason);
        return NGX_DECLINED;
    }

    rc = ngx_http_punit_claims_parse(pool, claims, &jws.payload, kid, policy,
                                     now, reason);

    if (rc != NGX_OK) {
        /* Claims of a refused token must not be used. */
        ngx_memzero(claims, sizeof(ngx_http_punit_claims_t));

        if (rc == NGX_DECLINED) {
            ngx_http_punit_verdict_refuse(cache, shpool, digest, now, *reason);
        }

        return rc;
    }

    ngx_memcpy(claims->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    if (cache) {
        ngx_http_punit_verdict_cache_keep(cache, shpool, claims, now);
    }

    return NGX_OK;
}


/* A refusal that time ends, or the clock set right, is not remembered. */

static void
ngx_http_punit_verdict_refuse(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, const u_char *digest, time_t now,
    const char *reason)
{
    if (cache
        && ngx_strcmp(reason, "not-yet-valid") != 0
        && ngx_strcmp(reason, "expired") != 0)
    {
        ngx_http_punit_verdict_cache_keep_refused(cache, shpool, digest, now,
                                                  reason);
    }
}


/* Not by EVP: its preparation takes longer than the hash. */

static void
ngx_http_punit_verdict_digest(u_char *digest, ngx_http_punit_key_set_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token)
{
    SHA256_CTX  sha;

    /* The two digests have a fixed length, so the token needs no length. */

    SHA256_Init(&sha);
    SHA256_Update(&sha, policy->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    SHA256_Update(&sha, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    SHA256_Update(&sha, token->data, token->len);
    SHA256_Final(digest, &sha);
}


static ngx_uint_t
ngx_http_punit_verdict_same(ngx_http_punit_verdict_memo_t *memo,
    ngx_http_punit_key_set_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token)
{
    return memo
           && memo->token.len == token->len
           && ngx_memcmp(memo->token.data, token->data, token->len) == 0
           && ngx_memcmp(memo->policy, policy->digest,
                         NGX_HTTP_PUNIT_DIGEST_LEN)
              == 0
           && ngx_memcmp(memo->keys, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN)
              == 0;
}


static void
ngx_http_punit_verdict_remember(ngx_http_punit_verdict_memo_t *memo,
    ngx_http_punit_key_set_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token, u_char *digest)
{
    if (memo == NULL) {
        return;
    }

    if (token->len > memo->room) {

        /*
         * At least twice as much, as the pool does not take back the old room.
         */

        memo->token.len = 0;
        memo->room = ngx_max(token->len, 2 * memo->room);

        memo->token.data = ngx_pnalloc(memo->pool, memo->room);
        if (memo->token.data == NULL) {
            memo->room = 0;
            return;
        }
    }

    memo->token.len = token->len;
    ngx_memcpy(memo->token.data, token->data, token->len);
    ngx_memcpy(memo->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    ngx_memcpy(memo->policy, policy->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    ngx_memcpy(memo->keys, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
}


/*
 * A kid names the one key to try, and a kid that no key has costs no signature
 * check.  Without kid a few keys of the algorithm are tried.
 */

static ngx_int_t
ngx_http_punit_verdict_signature(ngx_http_punit_key_set_t *keys,
    ngx_http_punit_jws_t *jws, ngx_str_t **kid, const char **reason)
{
    ngx_uint_t             i, tries;
    ngx_http_punit_key_t  *key;

    key = keys->keys.elts;

    if (jws->kid.len) {

        for (i = 0; i < keys->keys.nelts; i++) {

            if (key[i].kid.len != jws->kid.len
                || ngx_memcmp(key[i].kid.data, jws->kid.data, jws->kid.len)
                   != 0)
            {
                continue;
            }

            *kid = &key[i].kid;

            if (key[i].alg != jws->alg) {
                *reason = "algorithm";
                return NGX_DECLINED;
            }

            *reason = "signature";
            return ngx_http_punit_signature_check(&key[i], jws);
        }

        *reason = "key";
        return NGX_DECLINED;
    }

    tries = 0;
    *reason = "key";

    for (i = 0; i < keys->keys.nelts; i++) {

        if (key[i].alg != jws->alg) {
            continue;
        }

        if (tries++ == NGX_HTTP_PUNIT_VERDICT_TRIES) {
            break;
        }

        if (ngx_http_punit_signature_check(&key[i], jws) == NGX_OK) {
            *kid = &key[i].kid;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
