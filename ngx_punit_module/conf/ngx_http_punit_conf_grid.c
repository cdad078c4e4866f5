
/* punit_grid, punit_token_grid, punit_grid_args. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


char *
ngx_http_punit_conf_grid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                    *value;
    ngx_http_punit_grid_t       **field;
    ngx_http_punit_main_conf_t   *pmcf;

    field = (ngx_http_punit_grid_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        *field = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;
    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    *field = ngx_http_punit_grid_upstream_add(cf, &pmcf->grids, &value[1]);

    return (*field) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_punit_conf_grid_args(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, n;

    if (plcf->grid_args != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        plcf->grid_args = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (cf->args->nelts - 1 > NGX_HTTP_PUNIT_ARGS_MAX) {
        return ngx_http_punit_conf_expected(cf,
                                      &value[NGX_HTTP_PUNIT_ARGS_MAX + 1],
                                      "at most 32 arguments");
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_punit_conf_name(value[i].data, value[i].len) != NGX_OK) {
            return ngx_http_punit_conf_expected(cf, &value[i],
                                       "an argument's name, [A-Za-z0-9._-]");
        }

        for (n = 1; n < i; n++) {
            if (ngx_strcmp(value[n].data, value[i].data) == 0) {
                return ngx_http_punit_conf_expected(cf, &value[i],
                                                    "each argument once");
            }
        }
    }

    plcf->grid_args = ngx_http_punit_conf_words(cf);

    return plcf->grid_args ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_punit_conf_grid_near(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (pmcf->local_cache != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        pmcf->local_cache = 0;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size < NGX_HTTP_PUNIT_LOCAL_CACHE_MIN) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                 "a size of at least \"64k\", or \"off\"");
    }

    pmcf->local_cache = size;

    return NGX_CONF_OK;
}
