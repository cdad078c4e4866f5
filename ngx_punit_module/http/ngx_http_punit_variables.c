
/*
 * Variables.  None but $punit_unit is cacheable: a request that is replayed
 * has another owner the second time.  In a subrequest of the module they are
 * those of the request it was made for.
 */


#include "ngx_http_punit_module.h"


typedef ngx_int_t (*ngx_http_punit_value_pt)(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value);


static ngx_int_t ngx_http_punit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_variable_unit(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_variable_claim(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_punit_number(ngx_http_request_t *r, uint64_t n,
    ngx_str_t *value);


static ngx_int_t
ngx_http_punit_value_owner(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->unit;
    return NGX_OK;
}


/* what the unit that is sent to is told: Punit-Owner of a request */

static ngx_int_t
ngx_http_punit_value_owner_hint(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    u_char  *p;

    if (ctx->unit.len == 0 || ctx->author) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, ctx->unit.len + sizeof("; epoch=") - 1
                             + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = ngx_sprintf(p, "%V; epoch=%uL", &ctx->unit, ctx->epoch) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_route(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ngx_http_punit_route_names[ctx->route];
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_user(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->claims.user;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_jti(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->claims.jti;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_roles(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    *value = ctx->claims.roles;
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_epoch(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    return ctx->epoch ? ngx_http_punit_number(r, ctx->epoch, value) : NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_gen(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    return ctx->user ? ngx_http_punit_number(r, ctx->claims.gen, value)
                     : NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_verdict(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    value->data = (u_char *) ctx->verdict;
    value->len = ngx_strlen(ctx->verdict);
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_why(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf, ngx_str_t *value)
{
    value->data = (u_char *) ctx->why;
    value->len = ngx_strlen(ctx->why);
    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_value_grid_key(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    if (ngx_http_punit_grid_key(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    *value = ctx->grid_key;
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

    id = ngx_http_punit_id(ctx);
    if (id == NULL) {
        return NGX_ERROR;
    }

    *value = *id;

    return NGX_OK;
}


/* RFC 8586: what came, and this unit */

static ngx_int_t
ngx_http_punit_value_cdn_loop(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *value)
{
    u_char                 *p;
    size_t                  len;
    ngx_table_elt_t        *h;
    ngx_http_punit_walk_t   begin = { NULL, &r->headers_in.headers.part, 0 };
    ngx_http_punit_walk_t   walk;

    len = pmcf->loop.len;
    walk = begin;

    while ((h = ngx_http_punit_walk_to(&walk, "cdn-loop",
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

    walk = begin;

    while ((h = ngx_http_punit_walk_to(&walk, "cdn-loop",
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
ngx_http_punit_add_variables(ngx_conf_t *cf)
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

    if (ctx == NULL || !ctx->user) {
        v->not_found = 1;
        return NGX_OK;
    }

    rc = ngx_http_punit_claim(r->pool, &ctx->claims, &name, &value);

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
ngx_http_punit_number(ngx_http_request_t *r, uint64_t n, ngx_str_t *value)
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
