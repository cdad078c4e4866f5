
/*
 * Setters of the directives of locations.  A wrong value is shown in quotes
 * with what was expected.  "off" cancels inheritance.  Duplicates are refused.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


char *
ngx_http_punit_conf_expected(ngx_conf_t *cf, ngx_str_t *value,
    const char *what)
{
    ngx_str_t  *args;

    args = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\", expected %s",
                       value, &args[0], what);

    return NGX_CONF_ERROR;
}


ngx_uint_t
ngx_http_punit_conf_is_off(ngx_conf_t *cf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0;
}


/*
 * The name of a header, cookie, claim or argument: RFC 9110, 5.6.2, without
 * characters that have a meaning in an argument or a key.
 */

ngx_int_t
ngx_http_punit_conf_name(u_char *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > 64) {
        return NGX_DECLINED;
    }

    for (i = 0; i < len; i++) {
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z')
              || (p[i] >= '0' && p[i] <= '9')
              || p[i] == '-' || p[i] == '_' || p[i] == '.'))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


char *
ngx_http_punit_conf_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t  *value, *field;

    field = (ngx_str_t *) (p + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "some text or \"off\"");
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        ngx_str_set(field, "");
        return NGX_CONF_OK;
    }

    *field = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_punit_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (plcf->audience != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        plcf->audience = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (value[i].len == 0) {
            return ngx_http_punit_conf_expected(cf, &value[i],
                                                "some text or \"off\"");
        }
    }

    plcf->audience = ngx_http_punit_conf_words(cf);

    return plcf->audience ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_punit_conf_uuid_claims(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (plcf->uuids != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        plcf->uuids = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_punit_conf_name(value[i].data, value[i].len) != NGX_OK) {
            return ngx_http_punit_conf_expected(cf, &value[i],
                                            "a claim's name, [A-Za-z0-9._-]");
        }
    }

    plcf->uuids = ngx_http_punit_conf_words(cf);

    return plcf->uuids ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* The arguments of a directive, which were checked; NULL without memory. */

ngx_array_t *
ngx_http_punit_conf_words(ngx_conf_t *cf)
{
    ngx_str_t    *value, *words;
    ngx_uint_t    n;
    ngx_array_t  *a;

    value = cf->args->elts;
    n = cf->args->nelts - 1;

    a = ngx_array_create(cf->pool, n, sizeof(ngx_str_t));
    if (a == NULL) {
        return NULL;
    }

    words = ngx_array_push_n(a, n);
    ngx_memcpy(words, &value[1], n * sizeof(ngx_str_t));

    return a;
}


/* Milliseconds, or seconds if cmd->post is set. */

char *
ngx_http_punit_conf_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_int_t    t, *field;
    ngx_str_t   *value;

    /*
     * time_t and ngx_msec_t are as wide as ngx_int_t wherever nginx runs with
     * these directives.  Unset is -1 in all of them.
     */

    field = (ngx_int_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_punit_conf_is_off(cf)) {
        *field = 0;
        return NGX_CONF_OK;
    }

    t = ngx_parse_time(&value[1], cmd->post != NULL);

    if (t == NGX_ERROR || value[1].len == 0) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                     cmd->post ? "a time in whole seconds such as \"10s\""
                               : "a time such as \"500ms\" or \"1s\"");
    }

    *field = t;

    return NGX_CONF_OK;
}


/* Postconfiguration checks that the location exists. */

char *
ngx_http_punit_conf_named(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                   *value, *field;
    ngx_http_punit_named_t      *named;
    ngx_http_punit_main_conf_t  *pmcf;

    field = (ngx_str_t *) (p + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        ngx_str_set(field, "");
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (value[1].len < 2 || value[1].data[0] != '@') {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                   "a named location \"@NAME\" or \"off\"");
    }

    *field = value[1];

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    named = ngx_array_push(&pmcf->named);
    if (named == NULL) {
        return NGX_CONF_ERROR;
    }

    named->cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    named->name = value[1];
    named->directive = value[0];
    named->file = cf->conf_file->file.name.data;
    named->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* One of the words of cmd->post.  Its last line says what was expected. */

char *
ngx_http_punit_conf_choice(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t        *value;
    ngx_uint_t       *field, i;
    ngx_conf_enum_t  *e;

    field = (ngx_uint_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    e = cmd->post;

    for (i = 0; e[i].value != NGX_CONF_UNSET_UINT; i++) {
        if (ngx_strcmp(value[1].data, e[i].name.data) == 0) {
            *field = e[i].value;
            return NGX_CONF_OK;
        }
    }

    return ngx_http_punit_conf_expected(cf, &value[1],
                                        (const char *) e[i].name.data);
}


char *
ngx_http_punit_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t  *value, *field;

    field = (ngx_str_t *) (p + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        ngx_str_set(field, "");
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].data[0] != '/'
        || ngx_strlchr(value[1].data, value[1].data + value[1].len, '?'))
    {
        return ngx_http_punit_conf_expected(cf, &value[1],
                          "the path of an internal location \"/...\" or "
                          "\"off\"");
    }

    *field = value[1];

    return NGX_CONF_OK;
}
