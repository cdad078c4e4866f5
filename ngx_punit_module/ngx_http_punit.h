
/*
 * The types of ngx_http_punit_module: configurations and the context of a
 * request.  Each file declares its functions in a header of its own name,
 * conf/ and status/ in ngx_http_punit_conf.h and ngx_http_punit_status.h.
 */


#ifndef _NGX_HTTP_PUNIT_H_INCLUDED_
#define _NGX_HTTP_PUNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ngx_http_punit_claims.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_key_set.h>


#define NGX_HTTP_PUNIT_USER_MAX      64        /* longer ones are not kept */


typedef struct ngx_http_punit_ctx_s            ngx_http_punit_ctx_t;
typedef struct ngx_http_punit_generation_s     ngx_http_punit_generation_t;
typedef struct ngx_http_punit_owner_cache_s    ngx_http_punit_owner_cache_t;
typedef struct ngx_http_punit_peer_node_s      ngx_http_punit_peer_node_t;
typedef struct ngx_http_punit_refill_s         ngx_http_punit_refill_t;
typedef struct ngx_http_punit_reissue_cache_s  ngx_http_punit_reissue_cache_t;
typedef struct ngx_http_punit_zone_s           ngx_http_punit_zone_t;


typedef enum {
    NGX_HTTP_PUNIT_SCOPE_OFF = 0,
    NGX_HTTP_PUNIT_SCOPE_PUBLIC,
    NGX_HTTP_PUNIT_SCOPE_REFERENCE,
    NGX_HTTP_PUNIT_SCOPE_USER
} ngx_http_punit_scope_e;


typedef enum {
    NGX_HTTP_PUNIT_STALE_OFF = 0,
    NGX_HTTP_PUNIT_STALE_DOWN,
    NGX_HTTP_PUNIT_STALE_UNREACHABLE
} ngx_http_punit_stale_e;


typedef enum {
    NGX_HTTP_PUNIT_BEARER = 0,
    NGX_HTTP_PUNIT_COOKIE,
    NGX_HTTP_PUNIT_HEADER,
    NGX_HTTP_PUNIT_CLAIM
} ngx_http_punit_source_e;


/* punit_grid_args: as many as a word has bits. */

#define NGX_HTTP_PUNIT_ARGS_MAX  32


/* punit_grid_near: a smaller cache would hold no document. */

#define NGX_HTTP_PUNIT_LOCAL_CACHE_MIN  65536


/* Where a token or a unit is taken from. */

typedef struct {
    ngx_http_punit_source_e         type;
    ngx_str_t                       name;
} ngx_http_punit_source_t;


typedef struct {
    ngx_str_t                       id;
    ngx_uint_t                      state;     /* NGX_HTTP_PUNIT_PEER_... */
    ngx_http_punit_peer_node_t     *node;      /* in the zone */
    u_char                         *file;
    ngx_uint_t                      line;
} ngx_http_punit_peer_t;


typedef struct {
    ngx_str_t                       claim;
    ngx_array_t                     values;    /* ngx_str_t */
} ngx_http_punit_require_t;


/* The socket of a mover.  Each process keeps what is pending by index. */

typedef struct {
    ngx_addr_t                      addr;
    ngx_uint_t                      index;
} ngx_http_punit_mover_t;


/* A named location; it is looked up when the configuration is complete. */

typedef struct {
    ngx_http_core_srv_conf_t       *cscf;
    ngx_str_t                       name;
    ngx_str_t                       directive;
    u_char                         *file;
    ngx_uint_t                      line;
} ngx_http_punit_named_t;


typedef struct {
    ngx_str_t                       unit;
    ngx_str_t                       loop;      /* "punit-<unit>", CDN-Loop */
    ngx_shm_zone_t                 *shm_zone;
    ngx_str_t                       state;     /* file */
    ngx_array_t                     peers;     /* ngx_http_punit_peer_t */
    ngx_http_punit_key_set_t       *keys;
    ngx_array_t                    *grids;
    ngx_array_t                     movers;    /* ngx_http_punit_mover_t * */
    ngx_array_t                     named;     /* ngx_http_punit_named_t */
    ngx_int_t                       request_id; /* index of $request_id */
    size_t                          local_cache; /* bytes a worker; 0: off */

    /* what init_main_conf() checks */
    unsigned                        scoped:1;
    unsigned                        authenticated:1;
    unsigned                        jwks:1;
    unsigned                        keys_dir:1;
} ngx_http_punit_main_conf_t;


typedef struct {
    ngx_flag_t                      listener;
    u_char                         *file;
    ngx_uint_t                      line;
} ngx_http_punit_srv_conf_t;


typedef struct {
    ngx_uint_t                      scope;
    ngx_flag_t                      optional;

    ngx_str_t                       issuer;
    ngx_array_t                    *audience;  /* ngx_str_t */
    ngx_array_t                    *uuids;     /* ngx_str_t */
    time_t                          leeway;
    ngx_http_punit_policy_t         policy;    /* of the four above */

    ngx_array_t                    *token;     /* ngx_http_punit_source_t */
    ngx_array_t                    *unit_from; /* ngx_http_punit_source_t */
    ngx_array_t                    *require;   /* ngx_http_punit_require_t */

    ngx_http_punit_grid_t          *grid;      /* NULL: off */
    ngx_array_t                    *grid_args; /* ngx_str_t */
    ngx_msec_t                      grid_stale;

    ngx_str_t                       local;
    ngx_str_t                       forward;

    ngx_http_punit_mover_t         *move;      /* NULL: off */
    ngx_msec_t                      move_interval;

    ngx_flag_t                      token_check;
    ngx_http_punit_grid_t          *token_grid;
    ngx_msec_t                      token_recheck;

    ngx_str_t                       introspect;
    ngx_str_t                       reissue;
    ngx_uint_t                      stale;

    ngx_array_t                    *status_write; /* ngx_cidr_t */
    unsigned                        status:1;
} ngx_http_punit_loc_conf_t;


typedef enum {
    NGX_HTTP_PUNIT_ROUTE_NONE = 0,
    NGX_HTTP_PUNIT_ROUTE_GRID,
    NGX_HTTP_PUNIT_ROUTE_LOCAL,
    NGX_HTTP_PUNIT_ROUTE_FORWARD,
    NGX_HTTP_PUNIT_ROUTE_STALE,
    NGX_HTTP_PUNIT_ROUTE_REFUSE,
    NGX_HTTP_PUNIT_ROUTES
} ngx_http_punit_route_e;


typedef enum {
    NGX_HTTP_PUNIT_VERDICT_NONE = 0,           /* no token */
    NGX_HTTP_PUNIT_VERDICT_OK,
    NGX_HTTP_PUNIT_VERDICT_REFUSED,            /* not good */
    NGX_HTTP_PUNIT_VERDICT_EXPIRED,
    NGX_HTTP_PUNIT_VERDICT_REVOKED,
    NGX_HTTP_PUNIT_VERDICT_UNKNOWN,            /* could not be asked */
    NGX_HTTP_PUNIT_VERDICTS
} ngx_http_punit_verdict_e;


/* Errors of the module; ngx_http_punit_problem.c has the table. */

typedef enum {
    NGX_HTTP_PUNIT_NO_PROBLEM = 0,
    NGX_HTTP_PUNIT_NO_TOKEN,
    NGX_HTTP_PUNIT_INVALID_TOKEN,
    NGX_HTTP_PUNIT_INSUFFICIENT_SCOPE,
    NGX_HTTP_PUNIT_NOT_CHECKED,
    NGX_HTTP_PUNIT_NOT_A_PEER,
    NGX_HTTP_PUNIT_BAD_FORWARD,
    NGX_HTTP_PUNIT_INVALID_HEADER,
    NGX_HTTP_PUNIT_LOOP,
    NGX_HTTP_PUNIT_MOVING,
    NGX_HTTP_PUNIT_BAD_OWNER,
    NGX_HTTP_PUNIT_UNIT_DOWN,
    NGX_HTTP_PUNIT_UNIT_UNREACHABLE,
    NGX_HTTP_PUNIT_BAD_JSON,
    NGX_HTTP_PUNIT_INVALID,
    NGX_HTTP_PUNIT_FORBIDDEN,
    NGX_HTTP_PUNIT_NOT_FOUND,
    NGX_HTTP_PUNIT_METHOD,
    NGX_HTTP_PUNIT_STATE_BUSY,
    NGX_HTTP_PUNIT_STATE_FAILED
} ngx_http_punit_problem_e;


/* How far the access steps are; the first ones have no names. */

#define NGX_HTTP_PUNIT_STEP_REISSUE  5
#define NGX_HTTP_PUNIT_STEP_DECIDED  6
#define NGX_HTTP_PUNIT_STEP_SENT     7


/* What is known of the token of a request. */

typedef struct {
    ngx_http_punit_claims_t         claims;
    const char                     *verdict;   /* "ok", or why not */
    ngx_uint_t                      revocation; /* how far that step is */
    ngx_int_t                       grid_answer; /* to that step */
    ngx_str_t                       reissued;  /* the token for the user */
    unsigned                        given:1;   /* the answer has a token */
    unsigned                        user:1;    /* claims are good */
    unsigned                        grid_trouble:1;
    unsigned                        reissuing:1;
} ngx_http_punit_ctx_token_t;


typedef struct {
    ngx_str_t                       unit;      /* in the configuration */
    uint64_t                        epoch;     /* that it was asked with */
} ngx_http_punit_route_try_t;


/* Where the request goes, and where it has been. */

typedef struct {
    ngx_http_punit_route_e          type;
    const char                     *why;       /* this route */
    ngx_str_t                       unit;      /* sent to, or of the owner
                                                  (stale); configured text */
    uint64_t                        epoch;     /* highest known there */
    ngx_str_t                      *target;    /* named location */

    ngx_http_punit_route_try_t     *tries;
    ngx_uint_t                      ntries;
    ngx_http_upstream_t            *upstream;  /* that was followed last */

    ngx_http_punit_problem_e        lost;      /* why this unit is asked
                                                  instead of lost_unit */
    ngx_str_t                       lost_unit;

    unsigned                        cached:1;  /* unit of the owner cache */
    unsigned                        author:1;  /* follows Punit-Author */
    unsigned                        stale_tried:1;
    unsigned                        refused:1; /* a known owner refused */
} ngx_http_punit_ctx_route_t;


/* The document that is asked for. */

typedef struct {
    ngx_str_t                       text;      /* what is asked for */
    ngx_str_t                       key;       /* punit:doc:... */
    ngx_str_t                       service;
    ngx_str_t                       document;  /* "..." type\n body */
    uint32_t                        generation; /* as flags; 0: not known */
    ngx_msec_t                      asked;     /* when the grid was asked */
    uint32_t                        refill;    /* 0, or the hash of it */
    void                          (*release)(ngx_http_punit_ctx_t *ctx);
                                               /* ends that refill */
    ngx_msec_t                      wait_end;  /* for another's; 0: not yet */
    unsigned                        lookup:1;  /* ask the grid first */
    unsigned                        looked:1;
    unsigned                        waited:1;  /* for a refill: enough */
} ngx_http_punit_ctx_grid_t;


/* A subrequest of the module. */

typedef struct {
    ngx_http_request_t             *request;
    ngx_int_t                       error;
    unsigned                        failed:1;  /* too large */
} ngx_http_punit_ctx_subrequest_t;


/* The error that the module answers with. */

typedef struct {
    ngx_http_punit_problem_e        problem;
    ngx_uint_t                      inherited; /* status of error_page */
    const char                     *detail;
    ngx_str_t                       body;
    unsigned                        body_sent:1;
} ngx_http_punit_ctx_answer_t;


/*
 * What is known of one request.  It outlives internal redirects, which zero
 * r->ctx, through a cleanup of the request's pool.  Subrequests of the module
 * have no context and use that of their parent.
 */

struct ngx_http_punit_ctx_s {
    ngx_http_request_t             *request;
    ngx_http_punit_loc_conf_t      *plcf;      /* of the location asked for */
    ngx_http_punit_loc_conf_t      *at;        /* whose steps are taken */
    ngx_uint_t                      step;      /* next of the access steps */

    ngx_str_t                       from;      /* peer that forwarded it */
    ngx_str_t                       client;
    ngx_str_t                       request_id; /* X-Request-Id */

    ngx_http_punit_ctx_token_t      token;
    ngx_http_punit_ctx_route_t      route;
    ngx_http_punit_ctx_grid_t       grid;
    ngx_http_punit_ctx_subrequest_t subrequest;
    ngx_http_punit_ctx_answer_t     answer;

    unsigned                        peer:1;    /* came by the peer listener */
    unsigned                        waiting:1;
    unsigned                        restart:1; /* another location's page */
};


extern ngx_module_t  ngx_http_punit_module;


#endif /* _NGX_HTTP_PUNIT_H_INCLUDED_ */
