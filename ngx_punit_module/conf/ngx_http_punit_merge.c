
/* Configurations: create, merge, and check that nothing is missing. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


static char *ngx_http_punit_merge_check_loc(ngx_conf_t *cf,
    ngx_http_punit_loc_conf_t *conf);
static ngx_int_t ngx_http_punit_merge_default_source(ngx_conf_t *cf,
    ngx_array_t **sources, ngx_http_punit_source_e type, const char *name);


void *
ngx_http_punit_merge_create_main(ngx_conf_t *cf)
{
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_main_conf_t));
    if (pmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&pmcf->peers, cf->pool, 4,
                       sizeof(ngx_http_punit_peer_t))
        != NGX_OK
        || ngx_array_init(&pmcf->movers, cf->pool, 1,
                          sizeof(ngx_http_punit_mover_t *))
           != NGX_OK
        || ngx_array_init(&pmcf->named, cf->pool, 8,
                          sizeof(ngx_http_punit_named_t))
           != NGX_OK)
    {
        return NULL;
    }

    pmcf->local_cache = NGX_CONF_UNSET_SIZE;

    return pmcf;
}


/* If any directive is used, these must be there. */

char *
ngx_http_punit_merge_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ngx_conf_init_size_value(pmcf->local_cache, 4 * 1024 * 1024);

    if (!pmcf->scoped && pmcf->shm_zone == NULL && pmcf->unit.len == 0
        && pmcf->peers.nelts == 0)
    {
        return NGX_CONF_OK;
    }

    if (pmcf->shm_zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"punit_zone\" is defined in http, expected "
                      "\"punit_zone NAME SIZE\"");
        return NGX_CONF_ERROR;
    }

    if (pmcf->unit.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"punit_unit\" is defined in http, expected "
                      "\"punit_unit ID\"");
        return NGX_CONF_ERROR;
    }

    if (pmcf->authenticated && pmcf->keys == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no keys are defined in http for \"punit_scope\", "
                      "expected \"punit_keys DIR\" or \"punit_jwks FILE\"");
        return NGX_CONF_ERROR;
    }

    if (pmcf->keys && ngx_http_punit_key_set_seal(cf, pmcf->keys) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_punit_merge_create_srv(ngx_conf_t *cf)
{
    ngx_http_punit_srv_conf_t  *pscf;

    pscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_srv_conf_t));
    if (pscf == NULL) {
        return NULL;
    }

    pscf->listener = NGX_CONF_UNSET;

    return pscf;
}


char *
ngx_http_punit_merge_srv(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_punit_srv_conf_t *prev = parent;
    ngx_http_punit_srv_conf_t *conf = child;

    ngx_conf_merge_value(conf->listener, prev->listener, 0);

    return NGX_CONF_OK;
}


void *
ngx_http_punit_merge_create_loc(ngx_conf_t *cf)
{
    ngx_http_punit_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->issuer = { 0, NULL };
     *     conf->local = { 0, NULL };
     *     conf->forward = { 0, NULL };
     *     conf->introspect = { 0, NULL };
     *     conf->reissue = { 0, NULL };
     *     conf->policy = { ... };
     *     conf->status_write = NULL;
     *     conf->status = 0;
     */

    conf->scope = NGX_CONF_UNSET_UINT;
    conf->optional = NGX_CONF_UNSET;
    conf->audience = NGX_CONF_UNSET_PTR;
    conf->uuids = NGX_CONF_UNSET_PTR;
    conf->leeway = NGX_CONF_UNSET;
    conf->token = NGX_CONF_UNSET_PTR;
    conf->unit_from = NGX_CONF_UNSET_PTR;
    conf->require = NGX_CONF_UNSET_PTR;
    conf->grid = NGX_CONF_UNSET_PTR;
    conf->grid_args = NGX_CONF_UNSET_PTR;
    conf->grid_stale = NGX_CONF_UNSET_MSEC;
    conf->move = NGX_CONF_UNSET_PTR;
    conf->move_interval = NGX_CONF_UNSET_MSEC;
    conf->token_check = NGX_CONF_UNSET;
    conf->token_grid = NGX_CONF_UNSET_PTR;
    conf->token_recheck = NGX_CONF_UNSET_MSEC;
    conf->stale = NGX_CONF_UNSET_UINT;

    return conf;
}


char *
ngx_http_punit_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_punit_loc_conf_t *prev = parent;
    ngx_http_punit_loc_conf_t *conf = child;

    ngx_conf_merge_uint_value(conf->scope, prev->scope,
                              NGX_HTTP_PUNIT_SCOPE_OFF);
    ngx_conf_merge_value(conf->optional, prev->optional, 0);

    ngx_conf_merge_str_value(conf->issuer, prev->issuer, "");
    ngx_conf_merge_ptr_value(conf->audience, prev->audience, NULL);
    ngx_conf_merge_ptr_value(conf->uuids, prev->uuids, NULL);
    ngx_conf_merge_value(conf->leeway, prev->leeway, 0);

    ngx_conf_merge_ptr_value(conf->require, prev->require, NULL);

    ngx_conf_merge_ptr_value(conf->grid, prev->grid, NULL);
    ngx_conf_merge_ptr_value(conf->grid_args, prev->grid_args, NULL);
    ngx_conf_merge_msec_value(conf->grid_stale, prev->grid_stale, 200);

    ngx_conf_merge_str_value(conf->local, prev->local, "");
    ngx_conf_merge_str_value(conf->forward, prev->forward, "");

    ngx_conf_merge_ptr_value(conf->move, prev->move, NULL);
    ngx_conf_merge_msec_value(conf->move_interval, prev->move_interval, 1000);

    ngx_conf_merge_value(conf->token_check, prev->token_check, 1);
    ngx_conf_merge_ptr_value(conf->token_grid, prev->token_grid, NULL);
    ngx_conf_merge_msec_value(conf->token_recheck, prev->token_recheck, 1000);

    ngx_conf_merge_str_value(conf->introspect, prev->introspect, "");
    ngx_conf_merge_str_value(conf->reissue, prev->reissue, "");
    ngx_conf_merge_uint_value(conf->stale, prev->stale,
                              NGX_HTTP_PUNIT_STALE_DOWN);

    ngx_conf_merge_ptr_value(conf->token, prev->token, NGX_CONF_UNSET_PTR);
    ngx_conf_merge_ptr_value(conf->unit_from, prev->unit_from,
                             NGX_CONF_UNSET_PTR);

    if (conf->token == NGX_CONF_UNSET_PTR
        && ngx_http_punit_merge_default_source(cf, &conf->token,
                                               NGX_HTTP_PUNIT_BEARER, "")
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->unit_from == NGX_CONF_UNSET_PTR
        && ngx_http_punit_merge_default_source(cf, &conf->unit_from,
                                               NGX_HTTP_PUNIT_CLAIM, "unit")
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_punit_merge_check_loc(cf, conf);
}


static char *
ngx_http_punit_merge_check_loc(ngx_conf_t *cf, ngx_http_punit_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_punit_srv_conf_t   *pscf;
    ngx_http_punit_main_conf_t  *pmcf;

    if (conf->scope == NGX_HTTP_PUNIT_SCOPE_OFF) {
        return NGX_CONF_OK;
    }

    conf->policy.issuer = conf->issuer;
    conf->policy.audience = conf->audience;
    conf->policy.uuids = conf->uuids;
    conf->policy.leeway = conf->leeway;

    if (ngx_http_punit_policy_seal(&conf->policy) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    pscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_punit_module);
    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    /*
     * The level of the server and "if" have no name.  A request reaches a
     * named location with a route (punit_follow), and the first location
     * decides.
     */

    if (clcf->name.len == 0 || clcf->noname || clcf->named) {
        return NGX_CONF_OK;
    }

    if (conf->local.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "location \"%V\" has \"punit_scope\" and no "
                      "\"punit_local\", expected \"punit_local @NAME\"",
                      &clcf->name);
        return NGX_CONF_ERROR;
    }

    if (conf->scope == NGX_HTTP_PUNIT_SCOPE_USER
        && conf->forward.len == 0 && pmcf->peers.nelts && !pscf->listener)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "location \"%V\" has \"punit_scope user\" and no "
                      "\"punit_forward\", expected \"punit_forward @NAME\"",
                      &clcf->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_punit_merge_default_source(ngx_conf_t *cf, ngx_array_t **sources,
    ngx_http_punit_source_e type, const char *name)
{
    ngx_http_punit_source_t  *source;

    *sources = ngx_array_create(cf->pool, 1, sizeof(ngx_http_punit_source_t));
    if (*sources == NULL) {
        return NGX_ERROR;
    }

    source = ngx_array_push(*sources);
    if (source == NULL) {
        return NGX_ERROR;
    }

    source->type = type;
    source->name.data = (u_char *) name;
    source->name.len = ngx_strlen(name);

    return NGX_OK;
}
