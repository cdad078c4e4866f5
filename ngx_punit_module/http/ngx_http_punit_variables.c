
/*
 * Variables.  Only $punit_unit is cacheable: a request that is replayed has
 * another owner the second time.  A subrequest of the module sees the values
 * of its parent.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_document_key.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_named_claim.h>
#include <ngx_http_punit_request_id.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_variables.h>


typedef ngx_int_t (*ngx_http_punit_value_pt)(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value);


static ngx_int_t ngx_http_punit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_variable_unit(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_variable_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_variable_number(ngx_http_request_t *r,
    uint64_t n,
    ngx_str_t *value);


static ngx_int_t
ngx_http_punit_value_owner(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->route.unit;
    return NGX_OK;
}


/* Punit-Owner of a request: what the unit that gets it is told. */

static ngx_int_t
ngx_http_punit_value_owner_hint(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    u_char  *p;

    if (ctx->route.unit.len == 0 || ctx->route.author) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, ctx->route.unit.len + sizeof("; epoch=") - 1
                             + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = ngx_sprintf(p, "%V; epoch=%uL", &ctx->route.unit,
                             ctx->route.epoch) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_route(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ngx_http_punit_route_names[ctx->route.type];
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_user(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->token.claims.user;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_jti(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->token.claims.jti;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_roles(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->token.claims.roles;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_epoch(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    return ctx->route.epoch ? ngx_http_punit_variable_number(r,
                                                             ctx->route.epoch,
                                                             value) : NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_gen(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    if (!ctx->token.user) {
        return NGX_OK;
    }

    return ngx_http_punit_variable_number(r, ctx->token.claims.gen, value);
}


static ngx_int_t
ngx_http_punit_value_verdict(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    value->data = (u_char *) ctx->token.verdict;
    value->len = ngx_strlen(ctx->token.verdict);
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_why(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    value->data = (u_char *) ctx->route.why;
    value->len = ngx_strlen(ctx->route.why);
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_grid_key(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    if (ngx_http_punit_document_key(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    *value = ctx->grid.key;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_from(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->from;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_client(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->client;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_request_id(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    ngx_str_t  *id;

    id = ngx_http_punit_request_id(ctx);
    if (id == NULL) {
        return NGX_ERROR;
    }

    *value = *id;

    return NGX_OK;
}


/* RFC 8586: the value of the request, and this unit. */

static ngx_int_t
ngx_http_punit_value_cdn_loop(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    u_char                       *p;
    size_t                        len;
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  begin = { NULL, &r->headers_in.headers.part,
    0 };
    ngx_http_punit_header_iter_t  iter;

    len = pmcf->loop.len;
    iter = begin;

    while ((h = ngx_http_punit_header_next_named(&iter, "cdn-loop",
                                                 sizeof("cdn-loop") - 1)))
    {
        len += h->value.len + 2;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = len;

    iter = begin;

    while ((h = ngx_http_punit_header_next_named(&iter, "cdn-loop",
                                                 sizeof("cdn-loop") - 1)))
    {
        p = ngx_cpymem(p, h->value.data, h->value.len);
        *p++ = ',';
        *p++ = ' ';
    }

    ngx_memcpy(p, pmcf->loop.data, pmcf->loop.len);

    return NGX_OK;
}


static struct {
    ngx_str_t                name;
    ngx_http_punit_value_pt  handler;
} ngx_http_punit_values[] = {
    { ngx_string("punit_owner"), ngx_http_punit_value_owner },
    { ngx_string("punit_owner_hint"), ngx_http_punit_value_owner_hint },
    { ngx_string("punit_route"), ngx_http_punit_value_route },
    { ngx_string("punit_user"), ngx_http_punit_value_user },
    { ngx_string("punit_jti"), ngx_http_punit_value_jti },
    { ngx_string("punit_roles"), ngx_http_punit_value_roles },
    { ngx_string("punit_epoch"), ngx_http_punit_value_epoch },
    { ngx_string("punit_gen"), ngx_http_punit_value_gen },
    { ngx_string("punit_verdict"), ngx_http_punit_value_verdict },
    { ngx_string("punit_why"), ngx_http_punit_value_why },
    { ngx_string("punit_grid_key"), ngx_http_punit_value_grid_key },
    { ngx_string("punit_from"), ngx_http_punit_value_from },
    { ngx_string("punit_client"), ngx_http_punit_value_client },
    { ngx_string("punit_request_id"), ngx_http_punit_value_request_id },
    { ngx_string("punit_cdn_loop"), ngx_http_punit_value_cdn_loop },
    { ngx_null_string, NULL }
};


ngx_int_t
ngx_http_punit_variables_add(ngx_conf_t *cf)
{
    ngx_str_t             name;
    ngx_uint_t            i;
    ngx_http_variable_t  *v;

    for (i = 0; ngx_http_punit_values[i].name.len; i++) {

        v = ngx_http_add_variable(cf, &ngx_http_punit_values[i].name,
                                  NGX_HTTP_VAR_NOCACHEABLE);
        if (v == NULL) {
            return NGX_ERROR;
        }

        v->get_handler = ngx_http_punit_variable;
        v->data = i;
    }

    ngx_str_set(&name, "punit_unit");

    v = ngx_http_add_variable(cf, &name, 0);
    if (v == NULL) {
        return NGX_ERROR;
    }

    v->get_handler = ngx_http_punit_variable_unit;

    ngx_str_set(&name, "punit_claim_");

    v = ngx_http_add_variable(cf, &name,
                              NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX);
    if (v == NULL) {
        return NGX_ERROR;
    }

    v->get_handler = ngx_http_punit_variable_claim;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t              value;
    ngx_http_punit_ctx_t  *ctx;

    ctx = ngx_http_punit_ctx_of_parent(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_str_null(&value);

    if (ngx_http_punit_values[data].handler(r, ctx,
                     ngx_http_get_module_main_conf(r, ngx_http_punit_module),
                     &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_variable_unit(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    v->data = pmcf->unit.data;
    v->len = pmcf->unit.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = (v->len == 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_variable_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t              rc;
    ngx_str_t             *var, name, value;
    ngx_http_punit_ctx_t  *ctx;

    var = (ngx_str_t *) data;

    name.data = var->data + sizeof("punit_claim_") - 1;
    name.len = var->len - (sizeof("punit_claim_") - 1);

    ctx = ngx_http_punit_ctx_of_parent(r);

    if (ctx == NULL || !ctx->token.user) {
        v->not_found = 1;
        return NGX_OK;
    }

    rc = ngx_http_punit_named_claim(r->pool, &ctx->token.claims, &name,
                                    &value);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_variable_number(ngx_http_request_t *r, uint64_t n,
    ngx_str_t *value)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = ngx_sprintf(p, "%uL", n) - p;

    return NGX_OK;
}
