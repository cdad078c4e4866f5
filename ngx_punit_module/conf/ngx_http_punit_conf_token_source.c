
/* Setters of punit_token and punit_unit_from: where a value is taken from. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


static ngx_int_t ngx_http_punit_conf_token_source_parse(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_punit_source_t *source, ngx_uint_t unit);


/* punit_token, and with cmd->post punit_unit_from. */

char *
ngx_http_punit_conf_token_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char  *p = conf;

    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_array_t             **field;
    ngx_http_punit_source_t  *source;

    field = (ngx_array_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        *field = NULL;
        return NGX_CONF_OK;
    }

    *field = ngx_array_create(cf->pool, cf->args->nelts - 1,
                              sizeof(ngx_http_punit_source_t));
    if (*field == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        source = ngx_array_push(*field);
        if (source == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_punit_conf_token_source_parse(cf, &value[i], source,
                                                   cmd->post != NULL)
            != NGX_OK)
        {
            return ngx_http_punit_conf_expected(cf, &value[i],
                     cmd->post
                     ? "\"claim:NAME\" or \"header:NAME\" (of Punit-* only "
                       "Punit-Unit)"
                     : "\"bearer\", \"cookie:NAME\" or \"header:NAME\" (none "
                       "of Punit-*)");
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_punit_conf_token_source_parse(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_punit_source_t *source, ngx_uint_t unit)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t                prefix;
        ngx_http_punit_source_e  type;
        ngx_uint_t               unit;
    } prefixes[] = {
        { ngx_string("cookie:"), NGX_HTTP_PUNIT_COOKIE, 0 },
        { ngx_string("header:"), NGX_HTTP_PUNIT_HEADER, 0 },
        { ngx_string("header:"), NGX_HTTP_PUNIT_HEADER, 1 },
        { ngx_string("claim:"), NGX_HTTP_PUNIT_CLAIM, 1 },
        { ngx_null_string, 0, 0 }
    };

    if (!unit && ngx_strcmp(value->data, "bearer") == 0) {
        source->type = NGX_HTTP_PUNIT_BEARER;
        ngx_str_null(&source->name);
        return NGX_OK;
    }

    for (i = 0; prefixes[i].prefix.len; i++) {

        if (prefixes[i].unit != unit
            || value->len <= prefixes[i].prefix.len
            || ngx_strncmp(value->data, prefixes[i].prefix.data,
                           prefixes[i].prefix.len)
               != 0)
        {
            continue;
        }

        source->type = prefixes[i].type;
        source->name.len = value->len - prefixes[i].prefix.len;
        source->name.data = ngx_pstrdup(cf->pool, value);
        if (source->name.data == NULL) {
            return NGX_ERROR;
        }

        source->name.data += prefixes[i].prefix.len;

        if (ngx_http_punit_conf_name(source->name.data, source->name.len)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (source->type != NGX_HTTP_PUNIT_HEADER) {
            return NGX_OK;
        }

        ngx_strlow(source->name.data, source->name.data, source->name.len);

        if (source->name.len >= 6
            && ngx_strncmp(source->name.data, "punit-", 6) == 0
            && !(unit && source->name.len == sizeof("punit-unit") - 1
                 && ngx_strncmp(source->name.data, "punit-unit",
                                sizeof("punit-unit") - 1) == 0))
        {
            /* The module drops these from the headers of clients. */
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}
