
/* punit_move: the socket of the mover, one structure for equal paths. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>


static ngx_http_punit_mover_t *ngx_http_punit_conf_move_mover(ngx_conf_t *cf,
    ngx_str_t *value);


char *
ngx_http_punit_conf_move(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_str_t  *value;

    if (plcf->move != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        plcf->move = NULL;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    if (value[1].len <= sizeof("unix:/") - 1
        || value[1].len > sizeof("unix:") - 1 + sizeof(((struct sockaddr_un *)
                                                        NULL)->sun_path) - 1
        || ngx_strncmp(value[1].data, "unix:/", 6) != 0)
    {
        return ngx_http_punit_conf_expected(cf, &value[1],
               "\"off\" or \"unix:/PATH\" of at most 107 bytes");
    }

    plcf->move = ngx_http_punit_conf_move_mover(cf, &value[1]);

    return plcf->move ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_http_punit_mover_t *
ngx_http_punit_conf_move_mover(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_uint_t                    i;
    struct sockaddr_un           *saun;
    ngx_http_punit_mover_t       *mover, **m;
    ngx_http_punit_main_conf_t   *pmcf;

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);
    m = pmcf->movers.elts;

    for (i = 0; i < pmcf->movers.nelts; i++) {
        if (m[i]->addr.name.len == value->len
            && ngx_strncmp(m[i]->addr.name.data, value->data, value->len) == 0)
        {
            return m[i];
        }
    }

    mover = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_mover_t));
    saun = ngx_pcalloc(cf->pool, sizeof(struct sockaddr_un));
    m = ngx_array_push(&pmcf->movers);

    if (mover == NULL || saun == NULL || m == NULL) {
        return NULL;
    }

    saun->sun_family = AF_UNIX;
    ngx_memcpy(saun->sun_path, value->data + sizeof("unix:") - 1,
               value->len - (sizeof("unix:") - 1));

    mover->addr.sockaddr = (struct sockaddr *) saun;
    mover->addr.socklen = sizeof(struct sockaddr_un);
    mover->addr.name = *value;
    mover->index = pmcf->movers.nelts - 1;

    *m = mover;

    return mover;
}
