
/* The claims of a token (RFC 7519, RFC 8725, RFC 9068). */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_claims.h>
#include <ngx_http_punit_syntax.h>
#include <jansson.h>


/* 9999-12-31: later dates are milliseconds or an attack. */

#define NGX_HTTP_PUNIT_DATE_MAX     253402300799
#define NGX_HTTP_PUNIT_CLAIM_MAX    255


typedef struct {
    const char  *name;
    size_t       offset;      /* of an ngx_str_t in the claims */
    size_t       max;
} ngx_http_punit_claims_text_t;


typedef struct {
    const char  *name;
    size_t       offset;      /* of a time_t in the claims */
    ngx_uint_t   required;
} ngx_http_punit_claims_date_t;


static ngx_int_t ngx_http_punit_claims_fill(ngx_pool_t *pool,
    ngx_http_punit_claims_t *claims, json_t *root, const char **reason);
static ngx_int_t ngx_http_punit_claims_roles(ngx_pool_t *pool,
    ngx_http_punit_claims_t *claims, json_t *roles);
static ngx_int_t ngx_http_punit_claims_check(
    const ngx_http_punit_claims_t *claims, json_t *root,
    const ngx_http_punit_policy_t *policy, time_t now, const char **reason);
static ngx_uint_t ngx_http_punit_claims_audience(json_t *aud,
    const ngx_array_t *audience);
static ngx_int_t ngx_http_punit_claims_unit(
    const ngx_http_punit_claims_t *claims);
static ngx_uint_t ngx_http_punit_claims_uuids(json_t *root,
    const ngx_array_t *names);
static ngx_uint_t ngx_http_punit_claims_plain(const char *s, size_t len);


static const ngx_http_punit_claims_text_t  ngx_http_punit_claims_texts[] = {
    { "sub", offsetof(ngx_http_punit_claims_t, user),
      NGX_HTTP_PUNIT_CLAIM_MAX },
    { "jti", offsetof(ngx_http_punit_claims_t, jti), 200 },
    { "sid", offsetof(ngx_http_punit_claims_t, sid),
      NGX_HTTP_PUNIT_CLAIM_MAX },
    { "unit", offsetof(ngx_http_punit_claims_t, unit),
      NGX_HTTP_PUNIT_UNIT_MAX },
    { "iss", offsetof(ngx_http_punit_claims_t, issuer),
      NGX_HTTP_PUNIT_CLAIM_MAX },
    { NULL, 0, 0 }
};


static const ngx_http_punit_claims_date_t  ngx_http_punit_claims_dates[] = {
    { "exp", offsetof(ngx_http_punit_claims_t, exp), 1 },
    { "iat", offsetof(ngx_http_punit_claims_t, iat), 0 },
    { "nbf", offsetof(ngx_http_punit_claims_t, nbf), 0 },
    { NULL, 0, 0 }
};


static const ngx_http_punit_claims_date_t  ngx_http_punit_claims_counts[] = {
    { "epoch", offsetof(ngx_http_punit_claims_t, epoch), 0 },
    { "gen", offsetof(ngx_http_punit_claims_t, gen), 0 },
    { NULL, 0, 0 }
};


ngx_int_t
ngx_http_punit_claims_parse(ngx_pool_t *pool, ngx_http_punit_claims_t *claims,
    const ngx_str_t *payload, const ngx_str_t *kid,
    const ngx_http_punit_policy_t *policy, time_t now, const char **reason)
{
    json_t     *root;
    ngx_int_t   rc;

    ngx_memzero(claims, sizeof(ngx_http_punit_claims_t));

    *reason = "claims";

    root = json_loadb((const char *) payload->data, payload->len,
                      JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root)) {
        json_decref(root);
        return NGX_DECLINED;
    }

    claims->kid.len = kid->len;
    claims->kid.data = ngx_pstrdup(pool, (ngx_str_t *) kid);

    claims->payload.len = payload->len;
    claims->payload.data = ngx_pstrdup(pool, (ngx_str_t *) payload);

    if (claims->kid.data == NULL || claims->payload.data == NULL) {
        json_decref(root);
        return NGX_ERROR;
    }

    rc = ngx_http_punit_claims_fill(pool, claims, root, reason);

    if (rc == NGX_OK) {
        rc = ngx_http_punit_claims_check(claims, root, policy, now, reason);
    }

    json_decref(root);

    return rc;
}


static ngx_int_t
ngx_http_punit_claims_fill(ngx_pool_t *pool, ngx_http_punit_claims_t *claims,
    json_t *root, const char **reason)
{
    size_t                               len;
    double                               real;
    json_t                              *member;
    json_int_t                           n;
    ngx_str_t                           *s;
    const ngx_http_punit_claims_date_t  *date;
    const ngx_http_punit_claims_text_t  *text;

    for (text = ngx_http_punit_claims_texts; text->name; text++) {
        member = json_object_get(root, text->name);

        if (member == NULL) {
            continue;
        }

        len = json_string_length(member);

        if (!json_is_string(member)
            || len > text->max
            || !ngx_http_punit_claims_plain(json_string_value(member), len))
        {
            return NGX_DECLINED;
        }

        s = (ngx_str_t *) ((u_char *) claims + text->offset);

        s->len = len;
        s->data = ngx_pnalloc(pool, len + 1);
        if (s->data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(s->data, json_string_value(member), len + 1);
    }

    if (json_object_get(root, "unit")
        && !ngx_http_punit_syntax_unit(&claims->unit))
    {
        *reason = "unit";
        return NGX_DECLINED;
    }

    /*
     * A NumericDate may have a fraction, and it may be before 1970 (RFC 7519,
     * 2).  An absent date counts as 1970, which forbids nothing.
     */

    for (date = ngx_http_punit_claims_dates; date->name; date++) {
        member = json_object_get(root, date->name);

        if (member == NULL && !date->required) {
            continue;
        }

        if (!json_is_number(member)) {
            return NGX_DECLINED;
        }

        real = json_number_value(member);

        if (!(real >= -(double) NGX_HTTP_PUNIT_DATE_MAX
              && real <= (double) NGX_HTTP_PUNIT_DATE_MAX))
        {
            return NGX_DECLINED;
        }

        *(time_t *) ((u_char *) claims + date->offset) = (time_t) real;
    }

    for (date = ngx_http_punit_claims_counts; date->name; date++) {
        member = json_object_get(root, date->name);

        if (member == NULL) {
            continue;
        }

        n = json_integer_value(member);

        if (!json_is_integer(member) || n < 0) {
            return NGX_DECLINED;
        }

        *(uint64_t *) ((u_char *) claims + date->offset) = (uint64_t) n;
    }

    return ngx_http_punit_claims_roles(pool, claims,
                                       json_object_get(root, "roles"));
}


static ngx_int_t
ngx_http_punit_claims_roles(ngx_pool_t *pool, ngx_http_punit_claims_t *claims,
    json_t *roles)
{
    size_t   len, i;
    u_char  *p;
    json_t  *role;

    if (roles == NULL) {
        return NGX_OK;
    }

    if (!json_is_array(roles)) {
        return NGX_DECLINED;
    }

    len = 0;

    json_array_foreach(roles, i, role) {
        if (!json_is_string(role)
            || json_string_length(role) == 0
            || !ngx_http_punit_claims_plain(json_string_value(role),
                                            json_string_length(role)))
        {
            return NGX_DECLINED;
        }

        len += json_string_length(role) + 1;
    }

    if (len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    claims->roles.data = p;
    claims->roles.len = len - 1;

    json_array_foreach(roles, i, role) {
        p = ngx_cpymem(p, json_string_value(role), json_string_length(role));
        *p++ = ' ';
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_claims_check(const ngx_http_punit_claims_t *claims,
    json_t *root, const ngx_http_punit_policy_t *policy, time_t now,
    const char **reason)
{
    /* RFC 7519, 4.1.4: the token is refused at exp and after it. */

    if (now >= claims->exp + policy->leeway) {
        *reason = "expired";
        return NGX_DECLINED;
    }

    if (claims->nbf > now + policy->leeway
        || claims->iat > now + policy->leeway)
    {
        *reason = "not-yet-valid";
        return NGX_DECLINED;
    }

    if (policy->issuer.len
        && (claims->issuer.len != policy->issuer.len
            || ngx_memcmp(claims->issuer.data, policy->issuer.data,
                          policy->issuer.len)
               != 0))
    {
        *reason = "issuer";
        return NGX_DECLINED;
    }

    if (policy->audience
        && policy->audience->nelts
        && !ngx_http_punit_claims_audience(json_object_get(root, "aud"),
                                           policy->audience))
    {
        *reason = "audience";
        return NGX_DECLINED;
    }

    if (ngx_http_punit_claims_unit(claims) != NGX_OK) {
        *reason = "unit";
        return NGX_DECLINED;
    }

    if (!ngx_http_punit_claims_uuids(root, policy->uuids)) {
        *reason = "claims";
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_punit_claims_uuids(json_t *root, const ngx_array_t *names)
{
    json_t      *member;
    ngx_str_t    value, *name;
    ngx_uint_t   i;

    if (names == NULL) {
        return 1;
    }

    name = names->elts;

    for (i = 0; i < names->nelts; i++) {

        /* The words of a directive end in a zero. */

        member = json_object_get(root, (const char *) name[i].data);

        if (member == NULL) {
            continue;
        }

        value.data = (u_char *) json_string_value(member);
        value.len = json_string_length(member);

        if (value.data == NULL || !ngx_http_punit_syntax_uuid(&value)) {
            return 0;
        }
    }

    return 1;
}


/* A string or an array of strings (RFC 7519, 4.1.3). */

static ngx_uint_t
ngx_http_punit_claims_audience(json_t *aud, const ngx_array_t *audience)
{
    size_t       i;
    json_t      *member;
    ngx_str_t   *name;
    ngx_uint_t   k;

    if (json_is_array(aud)) {
        json_array_foreach(aud, i, member) {
            if (json_is_string(member)
                && ngx_http_punit_claims_audience(member, audience))
            {
                return 1;
            }
        }

        return 0;
    }

    name = audience->elts;

    for (k = 0; k < audience->nelts; k++) {
        if (json_is_string(aud)
            && json_string_length(aud) == name[k].len
            && ngx_memcmp(json_string_value(aud), name[k].data, name[k].len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Each unit signs with its own keys, named <unit>-<number>.  A stolen key of
 * one unit must not sign tokens for users of another unit.
 */

static ngx_int_t
ngx_http_punit_claims_unit(const ngx_http_punit_claims_t *claims)
{
    size_t      len;
    u_char     *kid;
    ngx_str_t   unit;

    if (claims->unit.len == 0) {
        return NGX_OK;
    }

    kid = claims->kid.data;
    len = claims->kid.len;

    while (len && kid[len - 1] >= '0' && kid[len - 1] <= '9') {
        len--;
    }

    if (len < 2 || len == claims->kid.len || kid[len - 1] != '-') {
        return NGX_OK;
    }

    unit.data = kid;
    unit.len = len - 1;

    if (!ngx_http_punit_syntax_unit(&unit)) {
        return NGX_OK;
    }

    return (unit.len == claims->unit.len
            && ngx_memcmp(unit.data, claims->unit.data, unit.len) == 0)
           ? NGX_OK : NGX_DECLINED;
}


/* Nothing that could split a header, a parameter, a key or a line of a log. */

static ngx_uint_t
ngx_http_punit_claims_plain(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] < 0x21 || s[i] > 0x7e) {
            return 0;
        }
    }

    return 1;
}
