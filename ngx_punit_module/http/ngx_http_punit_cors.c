
/*
 * Cross-origin requests (fetch.spec.whatwg.org, "CORS protocol").  Any origin
 * may ask: browsers do not send tokens on their own, so there are no
 * credentials.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_cors.h>
#include <ngx_http_punit_header.h>


static ngx_str_t  ngx_http_punit_cors_any = ngx_string("*");

static ngx_str_t  ngx_http_punit_cors_expose = ngx_string(
    "ETag, Location, Punit-Route, Punit-Stale, Punit-Token, Punit-Unit, "
    "Retry-After, WWW-Authenticate, X-Request-Id");

static struct {
    ngx_str_t  name;
    ngx_str_t  value;
} ngx_http_punit_cors_preflights[] = {
    { ngx_string("Allow"),
      ngx_string("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") },
    { ngx_string("Access-Control-Allow-Methods"),
      ngx_string("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") },
    { ngx_string("Access-Control-Allow-Headers"),
      ngx_string("Accept, Authorization, Content-Type, Idempotency-Key, "
                 "If-Match, If-None-Match, If-Unmodified-Since, Punit-Unit, "
                 "traceparent, tracestate, X-Request-Id") },
    { ngx_string("Access-Control-Max-Age"), ngx_string("600") },
    { ngx_null_string, ngx_null_string }
};


/* OPTIONS needs no token: a browser sends none with it. */

ngx_int_t
ngx_http_punit_cors_preflight(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_punit_cors_preflights[i].name.len; i++) {

        if (ngx_http_punit_header_add(r,
                        (char *) ngx_http_punit_cors_preflights[i].name.data,
                        ngx_http_punit_cors_preflights[i].name.len,
                        &ngx_http_punit_cors_preflights[i].value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->route.why = "options";
    ctx->route.type = NGX_HTTP_PUNIT_ROUTE_LOCAL;
    ctx->step = NGX_HTTP_PUNIT_STEP_SENT;

    return NGX_HTTP_NO_CONTENT;
}


/*
 * For every response to a request that has an Origin, in a location with a
 * scope.  punit_status is not for pages of other origins.
 */

ngx_int_t
ngx_http_punit_cors_headers(ngx_http_request_t *r)
{
    if (ngx_http_punit_header(&r->headers_in.headers, "origin",
                              sizeof("origin") - 1)
        == NULL)
    {
        return NGX_OK;
    }

    if (ngx_http_punit_header_add(r, "Access-Control-Allow-Origin",
                                  sizeof("Access-Control-Allow-Origin") - 1,
                                  &ngx_http_punit_cors_any)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_punit_header_add(r, "Access-Control-Expose-Headers",
                                  sizeof("Access-Control-Expose-Headers") - 1,
                                  &ngx_http_punit_cors_expose);
}
