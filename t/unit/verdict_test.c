/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jws.c */
/* links: ngx_punit_module/token/ngx_http_punit_claims.c */
/* links: ngx_punit_module/token/ngx_http_punit_policy.c */
/* links: ngx_punit_module/http/ngx_http_punit_syntax.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c */
/* links: ngx_punit_module/token/ngx_http_punit_signature.c */
/* links: ngx_punit_module/token/ngx_http_punit_verdict.c */
/* links: ngx_punit_module/token/ngx_http_punit_verdict_cache.c t/unit/nginx_shim.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <ngx_http_punit_jws.h>
#include <ngx_http_punit_verdict.h>

#include "nginx_shim.h"

#define NOW   1700000000
#define LIMIT 65536

static ngx_pool_t                     *pool;
static ngx_slab_pool_t                *shpool;
static ngx_http_punit_verdict_cache_t *cache;
static ngx_http_punit_key_set_t        keys;
static ngx_http_punit_key_t            key[16];
static ngx_http_punit_policy_t         policy;
static ngx_http_punit_claims_t         claims;
static const char                     *reason;
static size_t                          base;
static ngx_http_punit_verdict_memo_t  *memo;


static void
add_key(const char *kid, char fill)
{
    ngx_http_punit_key_t      *k = &key[keys.keys.nelts++];
    ngx_http_punit_key_error_t err;
    u_char                     secret[32];

    memset(secret, fill, sizeof(secret));
    memset(k, 0, sizeof(*k));
    k->kid = shim_str(kid);
    k->alg = ngx_http_punit_key_alg((const u_char *) "HS256", 5);
    assert_int_equal(ngx_http_punit_key_secret(k, secret, sizeof(secret), &err), NGX_OK);
}


static int
setup(void **state)
{
    pool = shim_pool();
    shpool = shim_slab(1 << 20);
    cache = ngx_http_punit_verdict_cache_init(shpool, LIMIT);
    base = shim_slab_used();
    memset(&keys, 0, sizeof(keys));
    keys.keys.elts = key;
    keys.keys.size = sizeof(key[0]);
    memset(keys.digest, 1, sizeof(keys.digest));
    memset(&policy, 0, sizeof(policy));
    memset(&claims, 0xa5, sizeof(claims));
    shim_time(NOW);
    add_key("eu-1", 'a');
    return 0;
}


static int
teardown(void **state)
{
    ngx_uint_t n = ngx_http_punit_verdict_cache_evict_locked(cache, shpool, (ngx_uint_t) -1);

    assert_int_equal(cache->count, 0);
    assert_int_equal(cache->size, 0);
    assert_int_equal(shim_slab_used(), base);
    (void) n;
    while (keys.keys.nelts) {
        ngx_http_punit_key_free(&key[--keys.keys.nelts]);
    }
    ngx_slab_free_locked(shpool, cache->buckets);
    ngx_slab_free_locked(shpool, cache);
    shim_slab_free(shpool);
    shim_pool_free(pool);
    return 0;
}


static char *
b64(char *o, const void *data, size_t n)
{
    static const char al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const u_char     *p = data;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        *o++ = al[v >> 18];
        *o++ = al[v >> 12 & 63];
        if (i + 1 < n) {
            *o++ = al[v >> 6 & 63];
        }
        if (i + 2 < n) {
            *o++ = al[v & 63];
        }
    }
    *o = 0;
    return o;
}


/* a token as an issuer makes it; fill: of the secret it is signed with */
static ngx_str_t
token_kid(const char *kid, char fill, const char *jti, long exp)
{
    char   header[128], payload[512], *text = ngx_palloc(pool, 1024), *o;
    u_char secret[32], mac[32];

    memset(secret, fill, sizeof(secret));
    snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid);
    if (*kid == 0) {
        strcpy(header, "{\"alg\":\"HS256\"}");
    }
    snprintf(
        payload, sizeof(payload),
        "{\"iss\":\"punit\",\"aud\":\"punit\",\"sub\":\"6f1c0a5e-0000-4000-8000-000000000001\","
        "\"jti\":\"%s\",\"iat\":%ld,\"exp\":%ld,\"unit\":\"eu\",\"epoch\":4,\"gen\":2,"
        "\"sid\":\"s\","
        "\"roles\":[\"user\",\"coach\"]}",
        jti, exp - 900, exp);
    o = b64(text, header, strlen(header));
    *o++ = '.';
    o = b64(o, payload, strlen(payload));
    EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, 32, (u_char *) text, o - text, mac, 32,
              NULL);
    *o++ = '.';
    b64(o, mac, 32);
    return shim_str(text);
}


static ngx_str_t
token(const char *jti, long exp)
{
    return token_kid("eu-1", 'a', jti, exp);
}


static ngx_int_t
verdict(ngx_str_t t)
{
    return ngx_http_punit_verdict(pool, cache, shpool, memo, &keys, &policy, &t, &claims, &reason);
}


static void
the_second_verdict_comes_from_the_cache_with_the_same_claims(void **state)
{
    ngx_str_t               t = token("j1", NOW + 900);
    ngx_http_punit_claims_t first;

    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
    first = claims;
    assert_int_equal(verdict(t), NGX_OK);
    assert_true(claims.cached);
    assert_int_equal(cache->hits, 1);
    assert_int_equal(cache->misses, 1);

#define SAME(m)                                  \
    assert_int_equal(first.m.len, claims.m.len); \
    assert_memory_equal(first.m.data, claims.m.data, first.m.len)
    SAME(user);
    SAME(jti);
    SAME(sid);
    SAME(unit);
    SAME(roles);
    SAME(issuer);
    SAME(kid);
    SAME(payload);
    assert_int_equal(claims.epoch, 4);
    assert_int_equal(claims.gen, 2);
    assert_int_equal(claims.exp, NOW + 900);
    assert_int_equal(claims.iat, NOW);
    assert_memory_equal(first.digest, claims.digest, sizeof(claims.digest));
}


static void
a_verdict_never_outlives_its_token(void **state)
{
    ngx_str_t t = token("j1", NOW + 60);

    assert_int_equal(verdict(t), NGX_OK);
    shim_time(NOW + 59);
    assert_int_equal(verdict(t), NGX_OK);
    shim_time(NOW + 60);
    assert_int_equal(verdict(t), NGX_DECLINED);
    assert_string_equal(reason, "expired");
    assert_int_equal(cache->count, 0);
    /* leeway accepts it a while, but each time anew */
    policy.leeway = 30;
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
    assert_int_equal(cache->count, 0);
    shim_time(NOW + 90);
    assert_int_equal(verdict(t), NGX_DECLINED);
}


static void
a_clock_set_back_makes_a_cached_token_not_yet_valid(void **state)
{
    ngx_str_t t = token("j1", NOW + 900);

    assert_int_equal(verdict(t), NGX_OK);
    shim_time(NOW - 1);
    assert_int_equal(verdict(t), NGX_DECLINED);
    assert_string_equal(reason, "not-yet-valid");
}


static void
other_keys_or_another_policy_void_what_is_cached(void **state)
{
    ngx_str_t t = token("j1", NOW + 900);

    assert_int_equal(verdict(t), NGX_OK);
    assert_int_equal(verdict(t), NGX_OK);
    assert_true(claims.cached);
    memset(policy.digest, 2, sizeof(policy.digest));
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
    /* the key was taken away */
    keys.digest[0]++;
    keys.keys.nelts = 0;
    assert_int_equal(verdict(t), NGX_DECLINED);
    assert_string_equal(reason, "key");
    keys.keys.nelts = 1;
}


static void
refused_tokens_take_nothing_of_the_cache(void **state)
{
    ngx_str_t t = token_kid("eu-1", 'z', "j1", NOW + 900);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(verdict(t), NGX_DECLINED);
        assert_string_equal(reason, "signature");
    }
    t = shim_str("x.y.z");
    assert_int_equal(verdict(t), NGX_DECLINED);
    assert_string_equal(reason, "malformed");
    t = shim_str("");
    assert_int_equal(verdict(t), NGX_DECLINED);
    t.len = NGX_HTTP_PUNIT_TOKEN_MAX + 1;
    assert_int_equal(verdict(t), NGX_DECLINED);
    t = token("late", NOW - 10);
    assert_int_equal(verdict(t), NGX_DECLINED);
    assert_int_equal(cache->count, 0);
    assert_int_equal(shim_slab_used(), base);
}


static void
a_refusal_is_remembered_for_a_few_seconds(void **state)
{
    ngx_str_t bad = token_kid("eu-1", 'z', "j1", NOW + 900);
    ngx_str_t early = token("early", NOW + 1000), good = token("good", NOW + 900);
    char      jti[32];

    assert_int_equal(verdict(bad), NGX_DECLINED);
    assert_int_equal(cache->refused_hits, 0);
    shim_time(NOW + NGX_HTTP_PUNIT_REFUSED_KEEP - 1);
    assert_int_equal(verdict(bad), NGX_DECLINED);
    assert_string_equal(reason, "signature");
    assert_int_equal(cache->refused_hits, 1);
    shim_time(NOW + NGX_HTTP_PUNIT_REFUSED_KEEP);
    assert_int_equal(verdict(bad), NGX_DECLINED);
    assert_int_equal(cache->refused_hits, 1);
    /* other keys may take it */
    keys.digest[0]++;
    assert_int_equal(verdict(bad), NGX_DECLINED);
    assert_int_equal(cache->refused_hits, 1);
    /* time takes it */
    shim_time(NOW);
    assert_int_equal(verdict(early), NGX_DECLINED);
    assert_string_equal(reason, "not-yet-valid");
    shim_time(NOW + 100);
    assert_int_equal(verdict(early), NGX_OK);
    /* a flood of them evicts no good one */
    shim_time(NOW);
    assert_int_equal(verdict(good), NGX_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(jti, sizeof(jti), "j%d", i);
        assert_int_equal(verdict(token_kid("eu-1", 'z', jti, NOW + 900)), NGX_DECLINED);
    }
    assert_int_equal(verdict(good), NGX_OK);
    assert_true(claims.cached);
    assert_int_equal(cache->evicted, 0);
}


static void
the_cache_keeps_to_its_limit_and_forgets_the_longest_unused(void **state)
{
    ngx_str_t favourite = token("favourite", NOW + 900), t[300];
    char      jti[32];

    assert_int_equal(verdict(favourite), NGX_OK);
    for (int i = 0; i < 300; i++) {
        snprintf(jti, sizeof(jti), "j%d", i);
        t[i] = token(jti, NOW + 900);
        assert_int_equal(verdict(t[i]), NGX_OK);
        assert_true(cache->size <= LIMIT);
        assert_int_equal(shim_slab_used() - base, cache->size);
        shim_time(NOW + i);
        assert_int_equal(verdict(favourite), NGX_OK);
        assert_true(claims.cached);
    }
    assert_in_range(cache->count, LIMIT / 1024 / 2, LIMIT / 512);
    assert_int_equal(cache->evicted, 301 - cache->count);
    assert_int_equal(verdict(t[299]), NGX_OK);
    assert_true(claims.cached);
    assert_int_equal(verdict(t[0]), NGX_OK);
    assert_false(claims.cached);
}


static void
a_full_zone_costs_the_cache_and_not_the_verdict(void **state)
{
    void     *hog = ngx_slab_alloc_locked(shpool, (1 << 20) - shim_slab_used() - 600);
    ngx_str_t a = token("a", NOW + 900), b = token("b", NOW + 900);

    assert_int_equal(verdict(a), NGX_OK);
    assert_int_equal(verdict(b), NGX_OK);
    assert_int_equal(cache->count, 1);
    assert_int_equal(verdict(b), NGX_OK);
    assert_true(claims.cached);
    ngx_http_punit_verdict_cache_evict_locked(cache, shpool, 1);
    {
        void *rest = ngx_slab_alloc_locked(shpool, 500);

        assert_int_equal(verdict(a), NGX_OK);
        assert_int_equal(cache->count, 0);
        ngx_slab_free_locked(shpool, rest);
    }
    ngx_slab_free_locked(shpool, hog);
}


static void
a_known_kid_is_the_only_key_tried(void **state)
{
    add_key("eu-2", 'b');
    assert_int_equal(verdict(token_kid("eu-2", 'b', "j", NOW + 900)), NGX_OK);
    assert_int_equal(verdict(token_kid("eu-1", 'b', "j", NOW + 900)), NGX_DECLINED);
    assert_string_equal(reason, "signature");
}


static void
without_kid_few_keys_of_the_algorithm_are_tried(void **state)
{
    static const char *kids[] = { "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9" };

    assert_int_equal(verdict(token_kid("", 'a', "j", NOW + 900)), NGX_OK);
    for (int i = 0; i < 8; i++) {
        add_key(kids[i], 'b' + i);
    }
    keys.digest[0]++;
    assert_int_equal(verdict(token_kid("", 'b' + 6, "j", NOW + 900)), NGX_OK);
    assert_int_equal(claims.kid.len, 2);
    assert_memory_equal(claims.kid.data, "x8", 2);
    /* a kid that no key has, with the secret of one */
    assert_int_equal(verdict(token_kid("gone", 'b', "j", NOW + 900)), NGX_DECLINED);
    assert_string_equal(reason, "key");
    /* the ninth */
    assert_int_equal(verdict(token_kid("", 'b' + 7, "j", NOW + 900)), NGX_DECLINED);
    assert_string_equal(reason, "key");
    assert_int_equal(verdict(token_kid("x9", 'b' + 7, "j", NOW + 900)), NGX_OK);
}


static void
when_revocation_was_checked_is_kept_for_all_workers(void **state)
{
    ngx_str_t t = token("j1", NOW + 900);

    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.checked);
    ngx_http_punit_verdict_cache_set_checked(cache, shpool, &claims, 12345);
    memset(&claims, 0xa5, sizeof(claims));
    assert_int_equal(verdict(t), NGX_OK);
    assert_true(claims.checked);
    assert_int_equal(claims.checked_at, 12345);
    ngx_http_punit_verdict_cache_forget(cache, shpool, &claims);
    assert_int_equal(cache->count, 0);
    /* neither of them needs the verdict to be there */
    ngx_http_punit_verdict_cache_forget(cache, shpool, &claims);
    ngx_http_punit_verdict_cache_set_checked(cache, shpool, &claims, 1);
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.checked);
}


static void
without_a_cache_every_verdict_is_made_anew(void **state)
{
    ngx_str_t t = token("j1", NOW + 900);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(ngx_http_punit_verdict(pool, NULL, NULL, memo, &keys, &policy, &t, &claims,
                                                &reason),
                         NGX_OK);
        assert_false(claims.cached);
    }
}


static void
a_token_that_comes_again_by_its_connection_is_not_hashed_again(void **state)
{
    ngx_str_t t = token("j1", NOW + 900);

    verdict(t);
    assert_int_equal(memo->token.len, 0); /* may never come again */
    assert_int_equal(verdict(t), NGX_OK);
    assert_int_equal(memo->token.len, t.len);

    /* another token's digest in its place: seen, for it is not made anew */
    memset(memo->digest, 0, sizeof(memo->digest));
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
    assert_memory_equal(claims.digest, memo->digest, sizeof(memo->digest));
}


static void
what_differs_in_anything_is_hashed(void **state)
{
    ngx_str_t t = token("j1", NOW + 900), other = token("j2", NOW + 900), longer;
    u_char    text[2048];

    verdict(t);
    verdict(t);
    assert_int_equal(verdict(other), NGX_OK);
    assert_memory_equal(claims.jti.data, "j2", 2);

    memcpy(text, t.data, t.len);
    text[t.len - 1] = text[t.len - 1] == 'A' ? 'B' : 'A';
    longer.data = text;
    longer.len = t.len;
    assert_int_equal(verdict(longer), NGX_DECLINED);
    memcpy(text, t.data, t.len);
    text[t.len] = 'A';
    longer.len++;
    assert_int_equal(verdict(longer), NGX_DECLINED);

    verdict(t);
    verdict(t);
    policy.digest[0] ^= 1;
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
    verdict(t);
    keys.digest[0] ^= 1;
    assert_int_equal(verdict(t), NGX_OK);
    assert_false(claims.cached);
}


static int
setup_memo(void **state)
{
    static ngx_http_punit_verdict_memo_t of_connection;

    setup(state);
    memset(&of_connection, 0, sizeof(of_connection));
    of_connection.pool = pool;
    memo = &of_connection;
    return 0;
}


static int
teardown_memo(void **state)
{
    memo = NULL;
    return teardown(state);
}


/* with what a connection remembers, and without */
#define MEMO(f) cmocka_unit_test_setup_teardown(f, setup_memo, teardown_memo)
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown), MEMO(f)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_second_verdict_comes_from_the_cache_with_the_same_claims),
        TEST(a_verdict_never_outlives_its_token),
        TEST(a_clock_set_back_makes_a_cached_token_not_yet_valid),
        TEST(other_keys_or_another_policy_void_what_is_cached),
        TEST(refused_tokens_take_nothing_of_the_cache),
        TEST(a_refusal_is_remembered_for_a_few_seconds),
        TEST(the_cache_keeps_to_its_limit_and_forgets_the_longest_unused),
        TEST(a_full_zone_costs_the_cache_and_not_the_verdict),
        TEST(a_known_kid_is_the_only_key_tried),
        TEST(without_kid_few_keys_of_the_algorithm_are_tried),
        TEST(when_revocation_was_checked_is_kept_for_all_workers),
        TEST(without_a_cache_every_verdict_is_made_anew),
        MEMO(a_token_that_comes_again_by_its_connection_is_not_hashed_again),
        MEMO(what_differs_in_anything_is_hashed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
