
/*
 * Directives and phases of ngx_http_punit_module.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_access.h>
#include <ngx_http_punit_conf.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_listener.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_report.h>
#include <ngx_http_punit_request_headers.h>
#include <ngx_http_punit_response_headers.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_status.h>
#include <ngx_http_punit_variables.h>
#include <ngx_http_punit_worker_exit.h>


static ngx_int_t ngx_http_punit_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_punit_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_punit_check_named(ngx_conf_t *cf,
    ngx_http_punit_main_conf_t *pmcf);
static ngx_int_t ngx_http_punit_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_punit_init_process(ngx_cycle_t *cycle);
static void ngx_http_punit_exit_process(ngx_cycle_t *cycle);


/* The last line of each says what was expected. */

static ngx_conf_enum_t  ngx_http_punit_token_checks[] = {
    { ngx_string("off"), 0 },
    { ngx_string("grid"), 1 },
    { ngx_string("\"off\" or \"grid\""), NGX_CONF_UNSET_UINT }
};


static ngx_conf_enum_t  ngx_http_punit_stales[] = {
    { ngx_string("off"), NGX_HTTP_PUNIT_STALE_OFF },
    { ngx_string("down"), NGX_HTTP_PUNIT_STALE_DOWN },
    { ngx_string("unreachable"), NGX_HTTP_PUNIT_STALE_UNREACHABLE },
    { ngx_string("\"off\", \"down\" or \"unreachable\""),
      NGX_CONF_UNSET_UINT }
};


#define NGX_HTTP_PUNIT_ANY                                                    \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

/* Any value but NULL: selects the second directive that shares this setter. */

#define NGX_HTTP_PUNIT_OTHER  ((void *) &ngx_http_punit_module)


static ngx_command_t  ngx_http_punit_commands[] = {

    { ngx_string("punit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_punit_conf_unit_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_state"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_unit_state,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_unit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_unit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_peer"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_punit_conf_unit_peer,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_keys"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_unit_keys,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_jwks"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_unit_keys,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NGX_HTTP_PUNIT_OTHER },

    { ngx_string("punit_issuer"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_text,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, issuer),
      NULL },

    { ngx_string("punit_audience"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_1MORE,
      ngx_http_punit_conf_audience,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_uuid_claims"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_1MORE,
      ngx_http_punit_conf_uuid_claims,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_leeway"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, leeway),
      NGX_HTTP_PUNIT_OTHER },

    { ngx_string("punit_token"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_1MORE,
      ngx_http_punit_conf_token_source,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, token),
      NULL },

    { ngx_string("punit_unit_from"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_1MORE,
      ngx_http_punit_conf_token_source,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, unit_from),
      NGX_HTTP_PUNIT_OTHER },

    { ngx_string("punit_scope"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_punit_conf_access_scope,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_require"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_punit_conf_access_require,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_grid"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_grid,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, grid),
      NULL },

    { ngx_string("punit_grid_args"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_1MORE,
      ngx_http_punit_conf_grid_args,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_grid_stale"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, grid_stale),
      NULL },

    { ngx_string("punit_grid_near"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_grid_near,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_punit_main_conf_t, local_cache),
      NULL },

    { ngx_string("punit_local"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_named,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, local),
      NULL },

    { ngx_string("punit_forward"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_named,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, forward),
      NULL },

    { ngx_string("punit_move"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_move,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_move_interval"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, move_interval),
      NULL },

    { ngx_string("punit_token_check"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, token_check),
      ngx_http_punit_token_checks },

    { ngx_string("punit_token_grid"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_grid,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, token_grid),
      NULL },

    { ngx_string("punit_token_recheck"),
      NGX_HTTP_PUNIT_ANY|NGX_CONF_TAKE1,
      ngx_http_punit_conf_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, token_recheck),
      NULL },

    { ngx_string("punit_introspect"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_uri,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, introspect),
      NULL },

    { ngx_string("punit_reissue"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_uri,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, reissue),
      NULL },

    { ngx_string("punit_stale"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_punit_loc_conf_t, stale),
      ngx_http_punit_stales },

    { ngx_string("punit_peer_listener"),
      NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_punit_conf_unit_listener,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("punit_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_punit_conf_unit_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_punit_module_ctx = {
    ngx_http_punit_preconfiguration,       /* preconfiguration */
    ngx_http_punit_postconfiguration,      /* postconfiguration */

    ngx_http_punit_merge_create_main,      /* create main configuration */
    ngx_http_punit_merge_init_main,        /* init main configuration */

    ngx_http_punit_merge_create_srv,       /* create server configuration */
    ngx_http_punit_merge_srv,              /* merge server configuration */

    ngx_http_punit_merge_create_loc,       /* create location configuration */
    ngx_http_punit_merge_loc               /* merge location configuration */
};


ngx_module_t  ngx_http_punit_module = {
    NGX_MODULE_V1,
    &ngx_http_punit_module_ctx,            /* module context */
    ngx_http_punit_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_punit_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_punit_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Counts the response, and tells the mover. */

static ngx_int_t
ngx_http_punit_log_handler(ngx_http_request_t *r)
{
    ngx_http_punit_ctx_t  *ctx;

    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL || ctx->route.type == NGX_HTTP_PUNIT_ROUTE_NONE) {
        return NGX_OK;
    }

    ngx_http_punit_status_count(r, ctx);

    return ngx_http_punit_report_log_handler(r, ctx);
}


static ngx_int_t
ngx_http_punit_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_punit_variables_add(cf);
}


static ngx_int_t
ngx_http_punit_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_handler_pt         *h;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_punit_main_conf_t  *pmcf;

    static struct {
        ngx_uint_t           phase;
        ngx_http_handler_pt  handler;
    } handlers[] = {
        { NGX_HTTP_POST_READ_PHASE, ngx_http_punit_request_headers_handler },
        { NGX_HTTP_REWRITE_PHASE, ngx_http_punit_problem_inherit },

        /*
         * Not ACCESS: "satisfy any" would let other modules open the location,
         * and subrequests would skip the check.
         */
        { NGX_HTTP_PREACCESS_PHASE, ngx_http_punit_access_handler },

        { NGX_HTTP_PRECONTENT_PHASE, ngx_http_punit_route_handler },
        { NGX_HTTP_LOG_PHASE, ngx_http_punit_log_handler }
    };

    pmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_punit_module);

    if (pmcf->shm_zone == NULL) {
        return NGX_OK;
    }

    if (ngx_http_punit_peer_init(cf) != NGX_OK
        || ngx_http_punit_check_named(cf, pmcf) != NGX_OK
        || ngx_http_punit_listener_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (pmcf->grids
        && ngx_http_punit_grid_upstream_init(cf, pmcf->grids) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        h = ngx_array_push(&cmcf->phases[handlers[i].phase].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = handlers[i].handler;
    }

    if (ngx_http_punit_response_headers_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_punit_problem_init(cf);
}


static ngx_int_t
ngx_http_punit_check_named(ngx_conf_t *cf, ngx_http_punit_main_conf_t *pmcf)
{
    ngx_uint_t                   i;
    ngx_http_punit_named_t      *named;
    ngx_http_core_loc_conf_t   **clcfp;
    ngx_http_punit_srv_conf_t   *pscf;

    named = pmcf->named.elts;

    for (i = 0; i < pmcf->named.nelts; i++) {

        pscf = named[i].cscf->ctx->srv_conf[ngx_http_punit_module.ctx_index];

        if (pscf->listener
            && ngx_strcmp(named[i].directive.data, "punit_forward") == 0)
        {
            /* Nothing is forwarded from there. */
            continue;
        }

        clcfp = named[i].cscf->named_locations;

        for ( /* void */ ; clcfp && *clcfp; clcfp++) {
            if ((*clcfp)->name.len == named[i].name.len
                && ngx_strncmp((*clcfp)->name.data, named[i].name.data,
                               named[i].name.len)
                   == 0)
            {
                break;
            }
        }

        if (clcfp == NULL || *clcfp == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "no location \"%V\" for \"%V\", expected one in "
                          "the same server in %s:%ui",
                          &named[i].name, &named[i].directive,
                          named[i].file, named[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_init_process(ngx_cycle_t *cycle)
{
    ngx_http_punit_main_conf_t  *pmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    pmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_punit_module);

    if (pmcf == NULL || pmcf->shm_zone == NULL) {
        return NGX_OK;
    }

    if (ngx_http_punit_worker_exit_init_process(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_punit_report_init_process(cycle, pmcf);
}


static void
ngx_http_punit_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_punit_module);

    if (pmcf == NULL || pmcf->shm_zone == NULL) {
        return;
    }

    ngx_http_punit_report_exit_process();

    ngx_http_punit_grid_exit(pmcf->grids);
}
