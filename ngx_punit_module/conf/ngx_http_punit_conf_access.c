
/* punit_scope and punit_require: whose data it is, and who has access. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


char *
ngx_http_punit_conf_access_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_punit_main_conf_t  *pmcf;

    static ngx_conf_enum_t  scopes[] = {
        { ngx_string("off"), NGX_HTTP_PUNIT_SCOPE_OFF },
        { ngx_string("public"), NGX_HTTP_PUNIT_SCOPE_PUBLIC },
        { ngx_string("reference"), NGX_HTTP_PUNIT_SCOPE_REFERENCE },
        { ngx_string("user"), NGX_HTTP_PUNIT_SCOPE_USER },
        { ngx_null_string, 0 }
    };

    if (plcf->scope != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; scopes[i].name.len; i++) {
        if (ngx_strcmp(value[1].data, scopes[i].name.data) == 0) {
            plcf->scope = scopes[i].value;
            break;
        }
    }

    if (scopes[i].name.len == 0) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                        "\"off\", \"public\", \"reference\" or \"user\"");
    }

    plcf->optional = 0;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "optional") != 0
            || plcf->scope != NGX_HTTP_PUNIT_SCOPE_REFERENCE)
        {
            return ngx_http_punit_conf_expected(cf, &value[2],
                                         "nothing or \"reference optional\"");
        }

        plcf->optional = 1;
    }

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    if (plcf->scope != NGX_HTTP_PUNIT_SCOPE_OFF) {
        pmcf->scoped = 1;
    }

    if (plcf->scope > NGX_HTTP_PUNIT_SCOPE_PUBLIC) {
        pmcf->authenticated = 1;
    }

    return NGX_CONF_OK;
}


/* May be repeated: all of them have to hold. */

char *
ngx_http_punit_conf_access_require(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t                 *value, *s;
    ngx_uint_t                 i;
    ngx_http_punit_require_t  *require;

    value = cf->args->elts;

    if (ngx_http_punit_conf_is_off(cf)) {

        if (plcf->require != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        plcf->require = NULL;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 2) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "\"off\", or a claim and values");
    }

    if (plcf->require == NULL) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "nothing beside \"off\"");
    }

    if (ngx_http_punit_conf_name(value[1].data, value[1].len) != NGX_OK) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "a claim's name, [A-Za-z0-9._-]");
    }

    if (plcf->require == NGX_CONF_UNSET_PTR) {
        plcf->require = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_http_punit_require_t));
        if (plcf->require == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    require = plcf->require->elts;

    for (i = 0; i < plcf->require->nelts; i++) {
        if (require[i].claim.len == value[1].len
            && ngx_strcmp(require[i].claim.data, value[1].data) == 0)
        {
            return ngx_http_punit_conf_expected(cf, &value[1],
                                                "each claim once");
        }
    }

    require = ngx_array_push(plcf->require);
    if (require == NULL) {
        return NGX_CONF_ERROR;
    }

    require->claim = value[1];

    if (ngx_array_init(&require->values, cf->pool, cf->args->nelts - 2,
                       sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        s = ngx_array_push(&require->values);
        if (s == NULL) {
            return NGX_CONF_ERROR;
        }

        *s = value[i];
    }

    return NGX_CONF_OK;
}
