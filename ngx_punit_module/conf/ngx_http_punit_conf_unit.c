
/*
 * Setters of what a unit has once: id, zone, state file, keys, peers, peer
 * listener and status.  The rules are those of ngx_http_punit_conf.c.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_conf.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_status.h>
#include <ngx_http_punit_syntax.h>
#include <ngx_http_punit_zone.h>


char *
ngx_http_punit_conf_unit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ssize_t                 size;
    ngx_str_t              *value;
    ngx_http_punit_zone_t  *zone;

    if (pmcf->shm_zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_punit_conf_name(value[1].data, value[1].len) != NGX_OK) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "a name of [A-Za-z0-9._-]");
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size < NGX_HTTP_PUNIT_ZONE_MIN) {
        return ngx_http_punit_conf_expected(cf, &value[2],
                                            "a size of at least \"256k\"");
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->pmcf = pmcf;

    pmcf->shm_zone = ngx_shared_memory_add(cf, &value[1], size,
                                           &ngx_http_punit_module);
    if (pmcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    pmcf->shm_zone->init = ngx_http_punit_zone_init;
    pmcf->shm_zone->data = zone;

    return NGX_CONF_OK;
}


char *
ngx_http_punit_conf_unit_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ngx_str_t  *value;

    if (pmcf->state.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "a file name or \"off\"");
    }

    if (ngx_http_punit_conf_is_off(cf)) {
        ngx_str_set(&pmcf->state, "");
        return NGX_CONF_OK;
    }

    pmcf->state = value[1];

    if (ngx_conf_full_name(cf->cycle, &pmcf->state, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_punit_conf_unit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ngx_str_t  *value;

    if (pmcf->unit.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!ngx_http_punit_syntax_unit(&value[1])) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "a unit's id, [a-z0-9-]{1,32}");
    }

    pmcf->unit = value[1];

    pmcf->loop.len = sizeof("punit-") - 1 + value[1].len;
    pmcf->loop.data = ngx_pnalloc(cf->pool, pmcf->loop.len);
    if (pmcf->loop.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_sprintf(pmcf->loop.data, "punit-%V", &value[1]);

    return NGX_CONF_OK;
}


char *
ngx_http_punit_conf_unit_peer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ngx_str_t              *value;
    ngx_uint_t              state;
    ngx_http_punit_peer_t  *peer;

    value = cf->args->elts;

    if (!ngx_http_punit_syntax_unit(&value[1])) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "a unit's id, [a-z0-9-]{1,32}");
    }

    state = NGX_HTTP_PUNIT_PEER_UNSET;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "up") == 0) {
            state = NGX_HTTP_PUNIT_PEER_UP;

        } else if (ngx_strcmp(value[2].data, "down") == 0) {
            state = NGX_HTTP_PUNIT_PEER_DOWN;

        } else {
            return ngx_http_punit_conf_expected(cf, &value[2],
                                                "\"up\" or \"down\"");
        }
    }

    if (ngx_http_punit_peer(pmcf, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate punit_peer \"%V\", expected each peer "
                           "once", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (pmcf->peers.nelts == NGX_HTTP_PUNIT_PEERS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "punit_peer \"%V\" is one too many, expected at "
                           "most %d", &value[1], NGX_HTTP_PUNIT_PEERS_MAX);
        return NGX_CONF_ERROR;
    }

    peer = ngx_array_push(&pmcf->peers);
    if (peer == NULL) {
        return NGX_CONF_ERROR;
    }

    peer->id = value[1];
    peer->state = state;
    peer->node = NULL;
    peer->file = cf->conf_file->file.name.data;
    peer->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* punit_keys and punit_jwks: both may be there, each once. */

char *
ngx_http_punit_conf_unit_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_main_conf_t *pmcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value, name;
    ngx_uint_t   jwks;

    value = cf->args->elts;
    jwks = (cmd->post != NULL);

    if (jwks ? pmcf->jwks : pmcf->keys_dir) {
        return "is duplicate";
    }

    if (value[1].len == 0) {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            jwks ? "a file name"
                                                 : "a directory's name");
    }

    if (pmcf->keys == NULL) {
        pmcf->keys = ngx_http_punit_key_set_create(cf);
        if (pmcf->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    name = value[1];

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (jwks) {
        pmcf->jwks = 1;
        rc = ngx_http_punit_key_set_jwks(cf, pmcf->keys, &name);

    } else {
        pmcf->keys_dir = 1;
        rc = ngx_http_punit_key_set_dir(cf, pmcf->keys, &name);
    }

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_punit_conf_unit_listener(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_punit_srv_conf_t *pscf = conf;

    ngx_str_t  *value;

    if (pscf->listener != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        pscf->listener = 1;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        pscf->listener = 0;

    } else {
        return ngx_http_punit_conf_expected(cf, &value[1],
                                            "\"on\" or \"off\"");
    }

    pscf->file = cf->conf_file->file.name.data;
    pscf->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_http_punit_conf_unit_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_punit_loc_conf_t *plcf = conf;

    ngx_int_t                    rc;
    ngx_str_t                   *value, text;
    ngx_cidr_t                  *cidr;
    ngx_uint_t                   i;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_punit_main_conf_t  *pmcf;

    if (plcf->status) {
        return "is duplicate";
    }

    plcf->status = 1;

    /* The status needs the zone, as a scope does. */

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);
    pmcf->scoped = 1;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "write=", 6) != 0) {
            return ngx_http_punit_conf_expected(cf, &value[i],
                                                "\"write=CIDR\"");
        }

        text.len = value[i].len - 6;
        text.data = value[i].data + 6;

        if (plcf->status_write == NULL) {
            plcf->status_write = ngx_array_create(cf->pool, 2,
                                                  sizeof(ngx_cidr_t));
            if (plcf->status_write == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        cidr = ngx_array_push(plcf->status_write);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(cidr, sizeof(ngx_cidr_t));

        if (text.len == 5 && ngx_strncmp(text.data, "unix:", 5) == 0) {
            cidr->family = AF_UNIX;
            continue;
        }

        rc = ngx_ptocidr(&text, cidr);

        if (rc == NGX_ERROR) {
            return ngx_http_punit_conf_expected(cf, &value[i],
                     "\"write=CIDR\" such as \"write=127.0.0.1\", or "
                     "\"write=unix:\"");
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &text);
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_punit_status_handler;

    return NGX_CONF_OK;
}
