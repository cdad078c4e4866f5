
/*
 * Headers between clients, units and workers.  POST_READ: what a client sends
 * as Punit-* never gets past here, but for the hint.  The header filter: what
 * units tell each other stays between them, and what a peer said of itself is
 * replaced by what this unit knows.
 */


#include "ngx_http_punit_module.h"


static ngx_int_t ngx_http_punit_header_filter(ngx_http_request_t *r);
static void ngx_http_punit_headers_owner(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_punit_headers_clean(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_headers_set(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_headers_drop(ngx_http_request_t *r,
    ngx_list_part_t *prev, ngx_list_part_t *part, ngx_uint_t i);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


ngx_int_t
ngx_http_punit_headers_init(ngx_conf_t *cf)
{
    ngx_str_t                    name = ngx_string("request_id");
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    pmcf->request_id = ngx_http_get_variable_index(cf, &name);
    if (pmcf->request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_punit_header_filter;

    return NGX_OK;
}


/*
 * The elements that stay are not moved: r->headers_in points to some of them.
 * No part may become empty but the first: those who walk the list look at the
 * first element of a next part without asking how many there are.
 */

ngx_int_t
ngx_http_punit_post_read_handler(ngx_http_request_t *r)
{
    ngx_table_elt_t            *h;
    ngx_http_punit_walk_t       walk;
    ngx_http_punit_srv_conf_t  *pscf;

    pscf = ngx_http_get_module_srv_conf(r, ngx_http_punit_module);

    if (pscf->listener || r != r->main || r->internal) {
        return NGX_DECLINED;
    }

again:

    walk.prev = NULL;
    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_punit_walk(&walk))) {

        if (h->key.len < 6
            || ngx_strncmp(h->lowcase_key, "punit", 5) != 0
            || (h->lowcase_key[5] != '-' && h->lowcase_key[5] != '_'))
        {
            continue;
        }

        if (h->key.len == sizeof("punit-unit") - 1
            && ngx_strncmp(h->lowcase_key, "punit-unit",
                           sizeof("punit-unit") - 1)
               == 0)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent header \"%V\", dropped", &h->key);

        if (ngx_http_punit_headers_drop(r, walk.prev, walk.part, walk.i - 1)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        goto again;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_punit_headers_drop(ngx_http_request_t *r, ngx_list_part_t *prev,
    ngx_list_part_t *part, ngx_uint_t i)
{
    ngx_list_t       *l;
    ngx_table_elt_t  *h;
    ngx_list_part_t  *rest;

    l = &r->headers_in.headers;
    h = part->elts;

    if (part->nelts == 1 && prev) {

        prev->next = part->next;

        if (l->last == part) {
            l->last = prev;
            part = prev;
        }

    } else if (i == part->nelts - 1) {
        part->nelts--;

    } else if (i == 0) {
        part->elts = &h[1];
        part->nelts--;

    } else {
        rest = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->elts = &h[i + 1];
        rest->nelts = part->nelts - i - 1;
        rest->next = part->next;

        part->nelts = i;
        part->next = rest;

        if (l->last == part) {
            l->last = rest;
            part = rest;
        }
    }

    /* the last part has less room than nalloc: who pushes takes a new one */

    if (l->last == part) {
        l->nalloc = ngx_max(part->nelts, 1);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_header_filter(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t       *ctx;
    ngx_http_punit_loc_conf_t  *plcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL) {
        plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);

        if (plcf->scope == NGX_HTTP_PUNIT_SCOPE_OFF) {
            return ngx_http_next_header_filter(r);
        }
    }

    if (ngx_http_punit_problem_header(r, &ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx == NULL || ctx->plcf == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ngx_http_punit_headers_clean(r, ctx);
    ngx_http_punit_document_answered(r, ctx);

    if (ngx_http_punit_headers_set(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->peer) {

        if (r->headers_out.status == NGX_HTTP_MISDIRECTED_REQUEST) {

            /* a body would cost the edge its kept connection */

            ngx_http_clear_content_length(r);
            r->headers_out.content_length_n = 0;
            r->headers_out.content_type.len = 0;
            r->header_only = 1;
        }

    } else if (ngx_http_punit_cors_headers(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* takes out of the answer what is not for who asked, and learns from it */

static void
ngx_http_punit_headers_clean(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                 *p;
    size_t                  len;
    ngx_uint_t              token;
    ngx_table_elt_t        *h;
    ngx_http_punit_walk_t   walk = { NULL, &r->headers_out.headers.part, 0 };

    token = 0;

    while ((h = ngx_http_punit_walk(&walk))) {

        if (h->hash == 0) {
            continue;
        }

        p = h->key.data;
        len = h->key.len;

        if (len == sizeof("x-request-id") - 1
            && ngx_strncasecmp(p, (u_char *) "x-request-id", len) == 0)
        {
            h->hash = 0;
            continue;
        }

        if (len < 6 || ngx_strncasecmp(p, (u_char *) "punit-", 6) != 0) {
            continue;
        }

        p += 6;
        len -= 6;

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "owner", 5) == 0) {

            ngx_http_punit_headers_owner(r, ctx, &h->value);

            if (!ctx->peer) {
                h->hash = 0;
            }

            continue;
        }

        if (len == 6 && ngx_strncasecmp(p, (u_char *) "author", 6) == 0
            && ctx->peer)
        {
            continue;
        }

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "stale", 5) == 0
            && ctx->route == NGX_HTTP_PUNIT_ROUTE_STALE)
        {
            continue;
        }

        /* the unit that serves the user made it; it is the client's */

        if (len == 5 && ngx_strncasecmp(p, (u_char *) "token", 5) == 0
            && ctx->route == NGX_HTTP_PUNIT_ROUTE_FORWARD && !token)
        {
            token = 1;
            continue;
        }

        h->hash = 0;
    }
}


/* an answer that is no 421: the unit says that it is the owner itself */

static void
ngx_http_punit_headers_owner(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *value)
{
    uint64_t                     epoch;
    ngx_str_t                    id, *unit;
    ngx_http_punit_main_conf_t  *pmcf;

    if (!ctx->user || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || (ctx->route != NGX_HTTP_PUNIT_ROUTE_LOCAL
            && ctx->route != NGX_HTTP_PUNIT_ROUTE_FORWARD)
        || ngx_http_punit_field_owner(value, &id, &epoch) != NGX_OK)
    {
        return;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    unit = ngx_http_punit_unit(pmcf, &id);

    if (unit == NULL || unit->data != ctx->unit.data) {
        return;
    }

    if (ctx->cached && ctx->ntries == 1 && epoch == ctx->epoch) {
        /* as the cache has it */
        return;
    }

    ngx_http_punit_owner_learn(ngx_http_punit_zone(pmcf), &ctx->claims.user,
                               unit, epoch, ctx->refused);
}


static ngx_int_t
ngx_http_punit_headers_set(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                    value, *unit, *route, *id;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    unit = &pmcf->unit;

    if (ctx->route == NGX_HTTP_PUNIT_ROUTE_FORWARD) {
        unit = &ctx->unit;
    }

    if (ngx_http_punit_add_header(r, "Punit-Unit", sizeof("Punit-Unit") - 1,
                                  unit)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    route = &ngx_http_punit_route_names[ctx->route];

    if (route->len && ctx->route != NGX_HTTP_PUNIT_ROUTE_REFUSE
        && ngx_http_punit_add_header(r, "Punit-Route",
                                     sizeof("Punit-Route") - 1, route)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    id = ngx_http_punit_id(ctx);

    if (id == NULL
        || ngx_http_punit_add_header(r, "X-Request-Id",
                                     sizeof("X-Request-Id") - 1, id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->reissued.len && ctx->route == NGX_HTTP_PUNIT_ROUTE_LOCAL
        && r->headers_out.status != NGX_HTTP_MISDIRECTED_REQUEST)
    {
        ngx_str_set(&value, "no-store");

        if (ngx_http_punit_add_header(r, "Punit-Token",
                                      sizeof("Punit-Token") - 1,
                                      &ctx->reissued)
            != NGX_OK
            || ngx_http_punit_add_header(r, "Cache-Control",
                                         sizeof("Cache-Control") - 1, &value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_add_header(ngx_http_request_t *r, const char *name, size_t len,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;
    h->lowcase_key = NULL;

    return NGX_OK;
}
