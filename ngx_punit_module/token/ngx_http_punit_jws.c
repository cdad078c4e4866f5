
/* The compact form and the header of a token (RFC 7515). */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_base64url.h>
#include <ngx_http_punit_jws.h>
#include <jansson.h>


static ngx_int_t ngx_http_punit_jws_header(ngx_http_punit_jws_t *jws,
    const u_char *text, size_t len, u_char *buf, const char **reason);
static ngx_int_t ngx_http_punit_jws_type(json_t *header);


ngx_int_t
ngx_http_punit_jws_parse(ngx_http_punit_jws_t *jws, const ngx_str_t *token,
    u_char *buf, const char **reason)
{
    size_t      n;
    u_char     *p, *last, *header, *dot[2];
    ngx_uint_t  i;

    *reason = "malformed";

    if (token->len > NGX_HTTP_PUNIT_TOKEN_MAX) {
        return NGX_DECLINED;
    }

    p = token->data;
    last = p + token->len;

    /* A third dot is not in the alphabet: the signature would be refused. */

    for (i = 0; i < 2; i++) {
        dot[i] = ngx_strlchr(p, last, '.');

        if (dot[i] == NULL) {
            return NGX_DECLINED;
        }

        p = dot[i] + 1;
    }

    jws->input.data = token->data;
    jws->input.len = dot[1] - token->data;

    header = buf;

    if (ngx_http_punit_base64url_decode(buf, &n, token->data,
                                        dot[0] - token->data)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    buf += n;

    jws->payload.data = buf;

    if (ngx_http_punit_base64url_decode(buf, &jws->payload.len, dot[0] + 1,
                                        dot[1] - dot[0] - 1)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    buf += jws->payload.len;

    jws->signature.data = buf;

    if (ngx_http_punit_base64url_decode(buf, &jws->signature.len, dot[1] + 1,
                                        last - dot[1] - 1)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    buf += jws->signature.len;

    /*
     * JSON text is never shorter than the string it encodes, so kid has room
     * after the three parts.
     */

    return ngx_http_punit_jws_header(jws, header, n, buf, reason);
}


static ngx_int_t
ngx_http_punit_jws_header(ngx_http_punit_jws_t *jws, const u_char *text,
    size_t len, u_char *buf, const char **reason)
{
    json_t     *header, *alg, *kid;
    ngx_int_t   rc;

    *reason = "header";

    header = json_loadb((const char *) text, len, JSON_REJECT_DUPLICATES,
                        NULL);

    if (!json_is_object(header)) {
        json_decref(header);
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    /*
     * No extension is understood, so any crit is refused (RFC 7515, 4.1.11).
     * b64 must come with crit (RFC 7797, 6), so a bare b64 is refused too.
     */

    if (json_object_get(header, "crit") || json_object_get(header, "b64")) {
        goto done;
    }

    alg = json_object_get(header, "alg");

    if (!json_is_string(alg)) {
        goto done;
    }

    kid = json_object_get(header, "kid");

    if (kid && !json_is_string(kid)) {
        goto done;
    }

    if (ngx_http_punit_jws_type(header) != NGX_OK) {
        *reason = "type";
        goto done;
    }

    jws->alg = ngx_http_punit_key_alg((const u_char *) json_string_value(alg),
                                      json_string_length(alg));

    if (jws->alg == NULL) {
        *reason = "algorithm";
        goto done;
    }

    jws->kid.len = json_string_length(kid);
    jws->kid.data = buf;

    if (jws->kid.len) {
        ngx_memcpy(buf, json_string_value(kid), jws->kid.len);
    }

    rc = NGX_OK;

done:

    json_decref(header);

    return rc;
}


/*
 * RFC 9068, 4 requires at+jwt or application/at+jwt.  Older issuers write JWT
 * or no type.  Any other type is a token for another purpose (RFC 8725, 3.11).
 * Media types ignore case.
 */

static ngx_int_t
ngx_http_punit_jws_type(json_t *header)
{
    json_t               *typ;
    ngx_uint_t            i;
    static const char    *known[] = {
        "at+jwt", "application/at+jwt", "JWT", "application/jwt"
    };

    typ = json_object_get(header, "typ");

    if (typ == NULL) {
        return NGX_OK;
    }

    if (!json_is_string(typ)) {
        return NGX_DECLINED;
    }

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcasecmp(json_string_value(typ), known[i]) == 0) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
