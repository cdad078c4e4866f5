/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jws.c */
/* links: ngx_punit_module/token/ngx_http_punit_named_claim.c */
/* links: ngx_punit_module/token/ngx_http_punit_claims.c */
/* links: ngx_punit_module/token/ngx_http_punit_policy.c */
/* links: ngx_punit_module/http/ngx_http_punit_syntax.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c t/unit/nginx_shim.c */
#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ngx_http_punit_jws.h>
#include <ngx_http_punit_named_claim.h>

#include "nginx_shim.h"

#define NOW  1700000000
#define GOOD "\"exp\":1700000900,\"iat\":1700000000"

static ngx_pool_t             *pool;
static ngx_http_punit_policy_t policy;
static ngx_http_punit_claims_t claims;
static ngx_str_t               audience[2];
static ngx_array_t audiences = { .elts = audience, .nelts = 2, .size = sizeof(ngx_str_t) };


static int
setup(void **state)
{
    pool = shim_pool();
    memset(&policy, 0, sizeof(policy));
    return 0;
}


static int
teardown(void **state)
{
    shim_pool_free(pool);
    return 0;
}


/* why the header is refused, "" if it is not; the other parts are sound */
static const char *
header(const char *json)
{
    static const char    al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    ngx_http_punit_jws_t jws;
    const char          *reason;
    char                 token[2048], *o = token;
    size_t               n = strlen(json), i;
    ngx_str_t            t;
    u_char              *buf;
    ngx_int_t            rc;

    for (i = 0; i < n; i += 3) {
        const u_char *p = (const u_char *) json + i;
        uint32_t      v = p[0] << 16 | (i + 1 < n ? p[1] << 8 : 0) | (i + 2 < n ? p[2] : 0);

        *o++ = al[v >> 18];
        *o++ = al[v >> 12 & 63];
        if (i + 1 < n) {
            *o++ = al[v >> 6 & 63];
        }
        if (i + 2 < n) {
            *o++ = al[v & 63];
        }
    }
    strcpy(o, ".e30.AAAA");
    t = shim_str(token);
    buf = malloc(2 * t.len);
    rc = ngx_http_punit_jws_parse(&jws, &t, buf, &reason);
    free(buf);
    return rc == NGX_OK ? "" : reason;
}


static void
headers_of_access_tokens_are_taken(void **state)
{
    static const char *v[] = {
        "{\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"eu-1\"}",
        "{\"alg\":\"RS512\",\"typ\":\"AT+JWT\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"application/at+jwt\"}",
        "{\"alg\":\"Ed25519\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"PS384\",\"typ\":\"jwt\",\"x\":{\"y\":[1]}}",
    };

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        assert_string_equal(header(v[i]), "");
    }
}


static void
other_headers_are_refused_with_the_reason(void **state)
{
    static const char *v[][2] = {
        { "", "header" },
        { "{", "header" },
        { "[]", "header" },
        { "\"x\"", "header" },
        { "null", "header" },
        { "{}", "header" },
        { "{\"alg\":256}", "header" },
        { "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", "header" },
        { "{\"alg\":\"ES256\",\"kid\":1}", "header" },
        { "{\"alg\":\"ES256\"} x", "header" },
        { "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", "header" },
        { "{\"alg\":\"ES256\",\"crit\":[]}", "header" },
        { "{\"alg\":\"ES256\",\"crit\":null}", "header" },
        { "{\"alg\":\"ES256\",\"b64\":false}", "header" },
        { "{\"alg\":\"ES256\",\"kid\":\"\\u0000\"}", "header" },
        { "{\"alg\":\"none\"}", "algorithm" },
        { "{\"alg\":\"None\"}", "algorithm" },
        { "{\"alg\":\"es256\"}", "algorithm" },
        { "{\"alg\":\"HS512\"}", "algorithm" },
        { "{\"alg\":\"ES256K\"}", "algorithm" },
        { "{\"alg\":\"\"}", "algorithm" },
        { "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\"}", "type" },
        { "{\"alg\":\"ES256\",\"typ\":\"secevent+jwt\"}", "type" },
        { "{\"alg\":\"ES256\",\"typ\":\"\"}", "type" },
        { "{\"alg\":\"ES256\",\"typ\":null}", "type" },
    };

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        if (strcmp(header(v[i][0]), v[i][1]) != 0) {
            fail_msg("%s: \"%s\", expected \"%s\"", v[i][0], header(v[i][0]), v[i][1]);
        }
    }
}


static void
a_token_is_three_parts_of_strict_base64url(void **state)
{
    static const char *v[] = {
        "",
        ".",
        "..",
        "...",
        "a.b",
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJhbGciOiJFUzI1NiJ9.e30",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA=",
        "eyJhbGciOiJFUzI1NiJ9.e31.AAAA",
        " eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n",
        "eyJhbGciOiJFUzI1NiJ9.e30.A",
    };
    ngx_http_punit_jws_t jws;
    const char          *reason;
    u_char               buf[256];

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        ngx_str_t t = shim_str(v[i]);

        if (ngx_http_punit_jws_parse(&jws, &t, buf, &reason) != NGX_DECLINED) {
            fail_msg("accepted: \"%s\"", v[i]);
        }
    }
    {
        ngx_str_t t = shim_str("eyJhbGciOiJFUzI1NiJ9.e30.AAAA");

        assert_int_equal(ngx_http_punit_jws_parse(&jws, &t, buf, &reason), NGX_OK);
        assert_int_equal(jws.input.len, 24);
        assert_int_equal(jws.payload.len, 2);
        assert_int_equal(jws.signature.len, 3);
        assert_int_equal(jws.kid.len, 0);
    }
}


/* why the payload is refused, "" if it is not */
static const char *
payload_kid(const char *json, const char *kid)
{
    ngx_str_t   p = shim_str(json), k = shim_str(kid);
    const char *reason = "?";
    char       *exact = malloc(p.len + 1);
    ngx_int_t   rc;

    memcpy(exact, json, p.len);
    p.data = (u_char *) exact;
    rc = ngx_http_punit_claims_parse(pool, &claims, &p, &k, &policy, NOW, &reason);
    free(exact);
    assert_int_not_equal(rc, NGX_ERROR);
    return rc == NGX_OK ? "" : reason;
}


static const char *
payload(const char *json)
{
    return payload_kid(json, "eu-1");
}


static int
is(ngx_str_t s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}


static void
the_claims_of_a_good_token_are_given(void **state)
{
    assert_string_equal(
        payload("{\"iss\":\"punit\",\"aud\":\"punit\",\"sub\":\"6f1c\",\"jti\":\"j1\","
                "\"iat\":1699999990,"
                "\"nbf\":1699999991,\"exp\":1700000900,\"unit\":\"eu\",\"epoch\":7,\"gen\":3,"
                "\"sid\":\"s1\","
                "\"roles\":[\"user\",\"coach\"],\"other\":{\"a\":1}}"),
        "");
    assert_true(is(claims.user, "6f1c"));
    assert_true(is(claims.jti, "j1"));
    assert_true(is(claims.sid, "s1"));
    assert_true(is(claims.unit, "eu"));
    assert_true(is(claims.roles, "user coach"));
    assert_true(is(claims.issuer, "punit"));
    assert_true(is(claims.kid, "eu-1"));
    assert_int_equal(claims.epoch, 7);
    assert_int_equal(claims.gen, 3);
    assert_int_equal(claims.exp, 1700000900);
    assert_int_equal(claims.iat, 1699999990);
    assert_int_equal(claims.nbf, 1699999991);
}


static void
payloads_that_are_not_sane_are_refused(void **state)
{
    static const char *v[] = {
        "",
        "[]",
        "\"x\"",
        "7",
        "null",
        "{",
        "{}",
        "{\"iat\":1}",
        "{" GOOD "} {}",
        "{" GOOD ",\"exp\":1700000900}",
        "{" GOOD ",\"x\":1,\"x\":1}",
        "{" GOOD ",\"x\":{\"y\":1,\"y\":1}}",
        "{\"exp\":\"1700000900\"}",
        "{\"exp\":null}",
        "{\"exp\":true}",
        "{\"exp\":1700000900000}",
        "{\"exp\":1e300}",
        "{\"exp\":99999999999999999999}",
        "{\"exp\":NaN}",
        "{\"exp\":[1700000900]}",
        "{" GOOD ",\"nbf\":\"0\"}",
        "{\"exp\":1700000900,\"iat\":\"1\"}",
        "{" GOOD ",\"sub\":1}",
        "{" GOOD ",\"sub\":\"a b\"}",
        "{" GOOD ",\"sub\":\"a\\r\\nX: y\"}",
        "{" GOOD ",\"jti\":\"a\\tb\"}",
        "{" GOOD ",\"jti\":\"\xc3\xa4\"}",
        "{" GOOD ",\"jti\":\"\\u0000\"}",
        "{" GOOD ",\"sub\":\"\xff\"}",
        "{" GOOD ",\"epoch\":-1}",
        "{" GOOD ",\"epoch\":1.5}",
        "{" GOOD ",\"epoch\":\"1\"}",
        "{" GOOD ",\"gen\":99999999999999999999}",
        "{" GOOD ",\"roles\":\"coach\"}",
        "{" GOOD ",\"roles\":[1]}",
        "{" GOOD ",\"roles\":[\"a b\"]}",
        "{" GOOD ",\"roles\":[\"\"]}",
    };

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        if (strcmp(payload(v[i]), "claims") != 0) {
            fail_msg("%s: \"%s\"", v[i], payload(v[i]));
        }
    }
}


static void
times_are_checked_with_leeway(void **state)
{
    assert_string_equal(payload("{\"exp\":1700000001}"), "");
    assert_string_equal(payload("{\"exp\":1700000000}"), "expired");
    assert_string_equal(payload("{\"exp\":1700000000.9}"), "expired");
    assert_string_equal(payload("{\"exp\":1700000900,\"nbf\":1700000000}"), "");
    assert_string_equal(payload("{\"exp\":1700000900,\"nbf\":1700000001}"), "not-yet-valid");
    assert_string_equal(payload("{\"exp\":1700000900,\"iat\":1700000001}"), "not-yet-valid");
    policy.leeway = 30;
    assert_string_equal(payload("{\"exp\":1699999971}"), "");
    assert_string_equal(payload("{\"exp\":1699999970}"), "expired");
    assert_string_equal(payload("{\"exp\":1700000900,\"nbf\":1700000030}"), "");
    assert_string_equal(payload("{\"exp\":1700000900,\"nbf\":1700000031}"), "not-yet-valid");
    assert_string_equal(payload("{\"exp\":1700000900,\"iat\":1700000031}"), "not-yet-valid");
}


/* RFC 7519, 2: seconds since 1970, which do not have to be after it */
static void
a_date_may_be_1970_or_before_it(void **state)
{
    static const char *dates[] = { "0", "-0", "0.5", "-0.5", "-1", "-1700000000" };

    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        char json[100];

        snprintf(json, sizeof(json), "{\"exp\":1700000900,\"nbf\":%s}", dates[i]);
        assert_string_equal(payload(json), "");
        snprintf(json, sizeof(json), "{\"exp\":1700000900,\"iat\":%s}", dates[i]);
        assert_string_equal(payload(json), "");
        snprintf(json, sizeof(json), "{\"exp\":%s}", dates[i]);
        assert_string_equal(payload(json), "expired");
    }
    assert_string_equal(payload("{\"exp\":1700000900,\"nbf\":-1e300}"), "claims");
}


static void
named_claims_are_uuids(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } v[] = {
        { "\"6f1c0a5e-0000-4000-8000-000000000001\"", "" },
        { "\"00000000-0000-0000-0000-000000000000\"", "" },
        { "\"abc\"", "claims" },
        { "\"\"", "claims" },
        { "\"6F1C0A5E-0000-4000-8000-000000000001\"", "claims" },
        { "\"6f1c0a5e-0000-4000-8000-00000000000\"", "claims" },
        { "\"6f1c0a5e-0000-4000-8000-0000000000011\"", "claims" },
        { "\"6f1c0a5e00000-4000-8000-000000000001\"", "claims" },
        { "\"6f1c0a5e-0000-4000-8000-00000000000g\"", "claims" },
        { "\"{6f1c0a5e-0000-4000-8000-0000000001}\"", "claims" },
        { "7", "claims" },
        { "null", "claims" },
    };
    static const char *names[] = { "sub", "jti", "sid", "other" };
    ngx_str_t          name[4];
    ngx_array_t        uuids = { .elts = name, .nelts = 4, .size = sizeof(ngx_str_t) };

    for (size_t n = 0; n < 4; n++) {
        name[n] = shim_str(names[n]);
    }
    for (size_t n = 0; n < 4; n++) {
        for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
            char json[200];

            policy.uuids = &uuids;
            snprintf(json, sizeof(json), "{" GOOD ",\"%s\":%s}", names[n], v[i].text);
            if (strcmp(payload(json), v[i].why) != 0) {
                fail_msg("%s: \"%s\"", json, payload(json));
            }
        }
    }
    assert_string_equal(payload("{" GOOD "}"), "");
    policy.uuids = NULL;
    assert_string_equal(payload("{" GOOD ",\"sub\":\"abc\"}"), "");
}


static void
issuer_and_audience_must_be_those_wanted(void **state)
{
    policy.issuer = shim_str("punit");
    assert_string_equal(payload("{" GOOD "}"), "issuer");
    assert_string_equal(payload("{" GOOD ",\"iss\":\"punit2\"}"), "issuer");
    assert_string_equal(payload("{" GOOD ",\"iss\":\"Punit\"}"), "issuer");
    assert_string_equal(payload("{" GOOD ",\"iss\":\"punit\"}"), "");

    audience[0] = shim_str("app");
    audience[1] = shim_str("punit");
    policy.issuer.len = 0;
    policy.audience = &audiences;
    assert_string_equal(payload("{" GOOD "}"), "audience");
    assert_string_equal(payload("{" GOOD ",\"aud\":\"other\"}"), "audience");
    assert_string_equal(payload("{" GOOD ",\"aud\":[]}"), "audience");
    assert_string_equal(payload("{" GOOD ",\"aud\":[1,null,[\"punit\"]]}"), "audience");
    assert_string_equal(payload("{" GOOD ",\"aud\":{\"punit\":1}}"), "audience");
    assert_string_equal(payload("{" GOOD ",\"aud\":\"punit\"}"), "");
    assert_string_equal(payload("{" GOOD ",\"aud\":[\"other\",\"app\"]}"), "");
}


static void
a_unit_speaks_only_for_itself(void **state)
{
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", "eu-1"), "");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"us\"}", "eu-1"), "unit");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu-west\"}", "eu-west-12"), "");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", "eu-west-12"), "unit");
    assert_string_equal(payload_kid("{" GOOD "}", "eu-1"), "");
    /* kids that do not name a unit */
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", "2024"), "");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", "Key_1"), "");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", ""), "");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"eu\"}", "-1"), "");
    /* what is no unit's name */
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"EU\"}", "k"), "unit");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"e_u\"}", "k"), "unit");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"\"}", "k"), "unit");
    assert_string_equal(payload_kid("{" GOOD ",\"unit\":\"0123456789012345678901234567890123\"}",
                                    "k"),
                        "claims");
}


static void
single_claims_are_given_as_text(void **state)
{
    static const char *v[][2] = {
        { "sub", "u1" }, { "n", "-7" },     { "t", "true" },      { "z", "null" },
        { "r", "a b" },  { "e", "[]" },     { "m", "[\"a\",1]" }, { "o", "{\"k\":\"v\"}" },
        { "empty", "" }, { "real", "1.5" },
    };
    ngx_str_t value, name;

    assert_string_equal(
        payload("{" GOOD ",\"sub\":\"u1\",\"n\":-7,\"t\":true,\"z\":null,\"r\":[\"a\",\"b\"],"
                "\"e\":[],\"m\":[\"a\",1],\"o\":{\"k\":\"v\"},\"empty\":\"\",\"real\":1.5,"
                "\"bad\":\"a\\nb\",\"scope\":\"read write\"}"),
        "");
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        name = shim_str(v[i][0]);
        assert_int_equal(ngx_http_punit_named_claim(pool, &claims, &name, &value), NGX_OK);
        if (!is(value, v[i][1])) {
            fail_msg("%s: \"%.*s\"", v[i][0], (int) value.len, value.data);
        }
    }
    name = shim_str("absent");
    assert_int_equal(ngx_http_punit_named_claim(pool, &claims, &name, &value), NGX_DECLINED);
    name = shim_str("bad");
    assert_int_equal(ngx_http_punit_named_claim(pool, &claims, &name, &value), NGX_DECLINED);
}


static void
a_claim_holds_a_value_or_it_does_not(void **state)
{
    static const struct {
        const char *name, *value;
        int         has;
    } v[] = {
        { "roles", "coach", 1 },
        { "roles", "coac", 0 },
        { "roles", "user coach", 0 },
        { "n", "7", 1 },
        { "n", "07", 0 },
        { "t", "true", 1 },
        { "t", "1", 0 },
        { "scope", "write", 1 },
        { "scope", "writ", 0 },
        { "scope", "", 0 },
        { "scope", "read write", 0 },
        { "text", "two words", 1 },
        { "text", "two", 0 },
        { "absent", "", 0 },
        { "o", "k", 0 },
        { "ns", "7", 1 },
    };

    assert_string_equal(payload(
                            "{" GOOD ",\"roles\":[\"user\",\"coach\"],\"n\":7,\"t\":true,"
                            "\"scope\":\"read write\",\"text\":\"two words\",\"o\":{\"k\":\"k\"},"
                            "\"ns\":[7]}"),
                        "");
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        ngx_str_t name = shim_str(v[i].name), value = shim_str(v[i].value);

        if ((int) ngx_http_punit_named_claim_has(&claims, &name, &value) != v[i].has) {
            fail_msg("%s has \"%s\"", v[i].name, v[i].value);
        }
    }
}


static void
a_token_without_roles_holds_none(void **state)
{
    ngx_str_t name = shim_str("roles"), coach = shim_str("coach"), empty = shim_str("");

    assert_string_equal(payload("{" GOOD "}"), "");
    assert_false(ngx_http_punit_named_claim_has(&claims, &name, &coach));
    assert_false(ngx_http_punit_named_claim_has(&claims, &name, &empty));
    assert_string_equal(payload("{" GOOD ",\"roles\":[]}"), "");
    assert_false(ngx_http_punit_named_claim_has(&claims, &name, &coach));
    assert_false(ngx_http_punit_named_claim_has(&claims, &name, &empty));
}


static void
the_digest_of_a_policy_tells_each_part_from_the_others(void **state)
{
    u_char digest[6][NGX_HTTP_PUNIT_DIGEST_LEN];
    static const struct {
        const char *issuer, *aud[2];
        time_t      leeway;
    } v[] = {
        { "", { "a", "b" }, 0 },  { "", { "ab", "" }, 0 }, { "", { "", "ab" }, 0 },
        { "a", { "a", "b" }, 0 }, { "", { "a", "b" }, 1 }, { "b", { "a", "b" }, 0 },
    };

    policy.audience = &audiences;
    for (size_t i = 0; i < 6; i++) {
        policy.issuer = shim_str(v[i].issuer);
        audience[0] = shim_str(v[i].aud[0]);
        audience[1] = shim_str(v[i].aud[1]);
        policy.leeway = v[i].leeway;
        assert_int_equal(ngx_http_punit_policy_seal(&policy), NGX_OK);
        memcpy(digest[i], policy.digest, NGX_HTTP_PUNIT_DIGEST_LEN);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(digest[i], digest[k], NGX_HTTP_PUNIT_DIGEST_LEN);
        }
    }
}


/* nst/JSONTestSuite, as payloads: y_ must parse, n_ must not, i_ must not crash; an
   object is what a payload has to be, so y_ ones are refused for their claims at most */
static void
jsontestsuite_payloads_never_pass_and_never_crash(void **state)
{
    const char    *dir = getenv("PUNIT_JSONTESTSUITE");
    struct dirent *d;
    int            n = 0;
    DIR           *dp;

    dir = dir ? dir : "../shared/data/JSONTestSuite/test_parsing";
    dp = opendir(dir);
    if (dp == NULL) {
        print_message("# SKIP %s is not there\n", dir);
        skip();
    }
    while ((d = readdir(dp)) != NULL) {
        char        path[4096], *text, *exact;
        const char *reason;
        size_t      len;
        ngx_str_t   p, k = shim_str("eu-1");

        if (strstr(d->d_name, ".json") == NULL) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
        text = shim_file(path, &len);
        exact = malloc(len ? len : 1);
        memcpy(exact, text, len);
        p.data = (u_char *) exact;
        p.len = len;
        assert_int_equal(ngx_http_punit_claims_parse(pool, &claims, &p, &k, &policy, NOW, &reason),
                         NGX_DECLINED);
        free(exact);
        free(text);
        n++;
    }
    closedir(dp);
    print_message("# %d texts of JSONTestSuite as payloads\n", n);
}


#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(headers_of_access_tokens_are_taken),
        TEST(other_headers_are_refused_with_the_reason),
        TEST(a_token_is_three_parts_of_strict_base64url),
        TEST(the_claims_of_a_good_token_are_given),
        TEST(payloads_that_are_not_sane_are_refused),
        TEST(times_are_checked_with_leeway),
        TEST(a_date_may_be_1970_or_before_it),
        TEST(named_claims_are_uuids),
        TEST(issuer_and_audience_must_be_those_wanted),
        TEST(a_unit_speaks_only_for_itself),
        TEST(single_claims_are_given_as_text),
        TEST(a_claim_holds_a_value_or_it_does_not),
        TEST(a_token_without_roles_holds_none),
        TEST(the_digest_of_a_policy_tells_each_part_from_the_others),
        TEST(jsontestsuite_payloads_never_pass_and_never_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
