
/* A single claim by its name: for variables and punit_require. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_named_claim.h>
#include <jansson.h>


#define NGX_HTTP_PUNIT_CLAIM_NAME_MAX  255


static ngx_int_t ngx_http_punit_named_claim_known(ngx_pool_t *pool,
    const ngx_http_punit_claims_t *claims, const ngx_str_t *name,
    ngx_str_t *value);
static ngx_uint_t ngx_http_punit_named_claim_role(const ngx_str_t *roles,
    const ngx_str_t *value);
static ngx_uint_t ngx_http_punit_named_claim_is(json_t *claim,
    const ngx_str_t *value, ngx_uint_t words);
static json_t *ngx_http_punit_named_claim_find(json_t *root,
    const ngx_str_t *name);


/*
 * Claims that were extracted when the token was verified.  The parameters of
 * each request to a worker use some of them.
 */

static const struct {
    ngx_str_t                       name;
    size_t                          offset;
    ngx_uint_t                      date;
} ngx_http_punit_known_claims[] = {
    { ngx_string("sub"), offsetof(ngx_http_punit_claims_t, user), 0 },
    { ngx_string("jti"), offsetof(ngx_http_punit_claims_t, jti), 0 },
    { ngx_string("sid"), offsetof(ngx_http_punit_claims_t, sid), 0 },
    { ngx_string("iss"), offsetof(ngx_http_punit_claims_t, issuer), 0 },
    { ngx_string("unit"), offsetof(ngx_http_punit_claims_t, unit), 0 },
    { ngx_string("exp"), offsetof(ngx_http_punit_claims_t, exp), 1 },
    { ngx_string("iat"), offsetof(ngx_http_punit_claims_t, iat), 1 },
    { ngx_string("nbf"), offsetof(ngx_http_punit_claims_t, nbf), 1 },
    { ngx_null_string, 0, 0 }
};


ngx_int_t
ngx_http_punit_named_claim(ngx_pool_t *pool,
    const ngx_http_punit_claims_t *claims,
    const ngx_str_t *name, ngx_str_t *value)
{
    char       *text;
    size_t      i, len;
    u_char     *p;
    json_t     *root, *claim, *member;
    ngx_int_t   rc;

    rc = ngx_http_punit_named_claim_known(pool, claims, name, value);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    root = json_loadb((const char *) claims->payload.data, claims->payload.len,
                      JSON_REJECT_DUPLICATES, NULL);

    claim = ngx_http_punit_named_claim_find(root, name);
    text = NULL;
    rc = NGX_DECLINED;

    if (claim == NULL) {
        goto done;
    }

    rc = NGX_ERROR;

    if (json_is_string(claim)) {
        len = json_string_length(claim);

        value->data = ngx_pnalloc(pool, len + 1);
        if (value->data == NULL) {
            goto done;
        }

        ngx_memcpy(value->data, json_string_value(claim), len + 1);

    } else {
        text = json_dumps(claim, JSON_ENCODE_ANY|JSON_COMPACT);
        if (text == NULL) {
            goto done;
        }

        len = ngx_strlen(text);

        value->data = ngx_pnalloc(pool, len + 1);
        if (value->data == NULL) {
            goto done;
        }

        ngx_memcpy(value->data, text, len + 1);

        /* ["a","b"] -> a b; it is shorter than the JSON. */

        p = value->data;

        json_array_foreach(claim, i, member) {
            if (!json_is_string(member)) {
                break;
            }

            if (i) {
                *p++ = ' ';
            }

            p = ngx_cpymem(p, json_string_value(member),
                           json_string_length(member));
        }

        if (json_array_size(claim) && i == json_array_size(claim)) {
            len = p - value->data;

        } else {
            ngx_memcpy(value->data, text, len);
        }
    }

    value->len = len;
    rc = NGX_OK;

    for (i = 0; i < len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            rc = NGX_DECLINED;
        }
    }

done:

    free(text);
    json_decref(root);

    return rc;
}


/*
 * NGX_DECLINED: not in this table, or not in the token.  The fraction of a
 * date is cut off, as it was when the date was checked.
 */

static ngx_int_t
ngx_http_punit_named_claim_known(ngx_pool_t *pool,
    const ngx_http_punit_claims_t *claims, const ngx_str_t *name,
    ngx_str_t *value)
{
    const u_char  *p;
    ngx_uint_t     i;

    for (i = 0; ngx_http_punit_known_claims[i].name.len; i++) {

        if (ngx_http_punit_known_claims[i].name.len != name->len
            || ngx_memcmp(ngx_http_punit_known_claims[i].name.data, name->data,
                          name->len)
               != 0)
        {
            continue;
        }

        p = (const u_char *) claims + ngx_http_punit_known_claims[i].offset;

        if (!ngx_http_punit_known_claims[i].date) {
            *value = *(const ngx_str_t *) p;
            return value->len ? NGX_OK : NGX_DECLINED;
        }

        if (*(const time_t *) p == 0) {
            return NGX_DECLINED;
        }

        value->data = ngx_pnalloc(pool, NGX_TIME_T_LEN + 1);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        value->len = snprintf((char *) value->data, NGX_TIME_T_LEN + 1, "%lld",
                              (long long) *(const time_t *) p);
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_punit_named_claim_has(const ngx_http_punit_claims_t *claims,
    const ngx_str_t *name, const ngx_str_t *value)
{
    size_t       i;
    json_t      *root, *claim, *member;
    ngx_uint_t   found, words;

    if (name->len == 5 && ngx_memcmp(name->data, "roles", 5) == 0) {
        return ngx_http_punit_named_claim_role(&claims->roles, value);
    }

    root = json_loadb((const char *) claims->payload.data, claims->payload.len,
                      JSON_REJECT_DUPLICATES, NULL);

    claim = ngx_http_punit_named_claim_find(root, name);
    found = 0;

    if (json_is_array(claim)) {
        json_array_foreach(claim, i, member) {
            found |= ngx_http_punit_named_claim_is(member, value, 0);
        }

    } else if (claim) {
        words = (name->len == 5 && ngx_memcmp(name->data, "scope", 5) == 0);
        found = ngx_http_punit_named_claim_is(claim, value, words);
    }

    json_decref(root);

    return found;
}


/* The claim was an array of texts without spaces, or it was refused. */

static ngx_uint_t
ngx_http_punit_named_claim_role(const ngx_str_t *roles, const ngx_str_t *value)
{
    const u_char  *p, *end, *last;

    if (roles->len == 0) {
        return 0;
    }

    p = roles->data;
    last = p + roles->len;

    for ( ;; ) {

        end = memchr(p, ' ', last - p);
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) == value->len
            && ngx_memcmp(p, value->data, value->len) == 0)
        {
            return 1;
        }

        if (end == last) {
            return 0;
        }

        p = end + 1;
    }
}


static ngx_uint_t
ngx_http_punit_named_claim_is(json_t *claim, const ngx_str_t *value,
    ngx_uint_t words)
{
    char         number[32];
    size_t       len, n;
    const char  *s;

    if (json_is_integer(claim)) {
        len = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                       json_integer_value(claim));
        s = number;

    } else if (json_is_boolean(claim)) {
        s = json_is_true(claim) ? "true" : "false";
        len = ngx_strlen(s);

    } else if (json_is_string(claim)) {
        s = json_string_value(claim);
        len = json_string_length(claim);

    } else {
        return 0;
    }

    if (!words) {
        return len == value->len && ngx_memcmp(s, value->data, len) == 0;
    }

    for ( ;; ) {
        n = strcspn(s, " ");

        if (n == value->len && n && ngx_memcmp(s, value->data, n) == 0) {
            return 1;
        }

        if (s[n] == '\0') {
            return 0;
        }

        s += n + 1;
    }
}


static json_t *
ngx_http_punit_named_claim_find(json_t *root, const ngx_str_t *name)
{
    char  text[NGX_HTTP_PUNIT_CLAIM_NAME_MAX + 1];

    if (name->len > NGX_HTTP_PUNIT_CLAIM_NAME_MAX) {
        return NULL;
    }

    ngx_memcpy(text, name->data, name->len);
    text[name->len] = '\0';

    return json_object_get(root, text);
}
