
/*
 * ngx_http_punit_module: sends a request to the unit that owns its user.
 * The public header: configuration, request context, and what each role
 * (one file each) gives the others.
 */


#ifndef _NGX_HTTP_PUNIT_MODULE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <jansson.h>

#include "ngx_http_punit_entry.h"
#include "ngx_http_punit_field.h"
#include "ngx_http_punit_grid.h"
#include "ngx_http_punit_jwt.h"
#include "ngx_http_punit_key.h"
#include "ngx_http_punit_verdict.h"
#include "ngx_http_punit_zone.h"


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


/* punit_grid_args: as many as a word has bits */

#define NGX_HTTP_PUNIT_ARGS_MAX  32


/* punit_grid_near: what is less would hold no document */

#define NGX_HTTP_PUNIT_NEAR_MIN  65536


/* where a token or a unit is taken from */

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


/* a mover's socket; what is pending for it is kept by index in the process */

typedef struct {
    ngx_addr_t                      addr;
    ngx_uint_t                      index;
} ngx_http_punit_mover_t;


/* a named location that was asked for, to be looked up when all are known */

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
    ngx_http_punit_keys_t          *keys;
    ngx_array_t                    *grids;
    ngx_array_t                     movers;    /* ngx_http_punit_mover_t * */
    ngx_array_t                     named;     /* ngx_http_punit_named_t */
    ngx_int_t                       request_id; /* index of $request_id */
    size_t                          near;      /* bytes a worker; 0: off */

    /* what "nginx -t" has to know of the rest */
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
    time_t                          leeway;
    ngx_http_punit_policy_t         policy;    /* of the three above */

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


/* an error of ours, ngx_http_punit_problem.c has the table */

typedef enum {
    NGX_HTTP_PUNIT_NO_PROBLEM = 0,
    NGX_HTTP_PUNIT_NO_TOKEN,
    NGX_HTTP_PUNIT_INVALID_TOKEN,
    NGX_HTTP_PUNIT_INSUFFICIENT_SCOPE,
    NGX_HTTP_PUNIT_NOT_CHECKED,
    NGX_HTTP_PUNIT_NOT_A_PEER,
    NGX_HTTP_PUNIT_BAD_FORWARD,
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


typedef struct {
    ngx_str_t                       unit;      /* in the configuration */
    uint64_t                        epoch;     /* that it was asked with */
} ngx_http_punit_try_t;


/*
 * What is known of one request.  It outlives internal redirects, which zero
 * r->ctx, through a cleanup of the request's pool.  Subrequests that the
 * module makes have none and look at their parent's.
 */

typedef struct {
    ngx_http_request_t             *request;
    ngx_http_punit_loc_conf_t      *plcf;      /* of the location asked for */
    ngx_http_punit_loc_conf_t      *at;        /* whose steps are taken */

    ngx_uint_t                      step;      /* next of the access steps */
    ngx_int_t                       error;     /* of what was waited for */
    ngx_uint_t                      revocation; /* how far that step is */

    ngx_http_punit_claims_t         claims;
    const char                     *verdict;   /* "ok", or why not */
    const char                     *why;       /* this route */

    ngx_http_punit_route_e          route;
    ngx_str_t                       unit;      /* sent to, or of the owner
                                                  (stale); configured text */
    uint64_t                        epoch;     /* highest known there */
    ngx_str_t                      *target;    /* named location */

    ngx_http_punit_try_t           *tries;
    ngx_uint_t                      ntries;
    ngx_http_upstream_t            *upstream;  /* that was followed last */

    ngx_http_punit_problem_e        lost;      /* why this unit is asked
                                                  instead of lost_unit */
    ngx_str_t                       lost_unit;

    ngx_str_t                       from;      /* peer that forwarded it */
    ngx_str_t                       client;
    ngx_str_t                       id;        /* X-Request-Id */

    ngx_str_t                       grid_text; /* what is asked for */
    ngx_str_t                       grid_key;  /* punit:doc:... */
    ngx_str_t                       service;
    ngx_str_t                       document;  /* "..." type\n body */
    uint32_t                        generation; /* as flags; 0: not known */
    ngx_msec_t                      asked;     /* for it, if it is asked for */
    uint32_t                        refill;    /* 0, or our claim's hash */
    ngx_msec_t                      wait_end;  /* for another's; 0: not yet */

    ngx_str_t                       reissued;  /* token */
    ngx_http_request_t             *subrequest;

    ngx_http_punit_problem_e        problem;
    ngx_uint_t                      inherited; /* status of error_page */
    const char                     *detail;
    ngx_str_t                       body;      /* of the problem */

    unsigned                        peer:1;    /* came by the peer listener */
    unsigned                        waiting:1;
    unsigned                        restart:1; /* another location's page */
    unsigned                        user:1;    /* claims are good */
    unsigned                        cached:1;  /* unit of the owner cache */
    unsigned                        author:1;  /* follows Punit-Author */
    unsigned                        lookup:1;  /* ask the grid first */
    unsigned                        looked:1;
    unsigned                        waited:1;  /* for a refill: enough */
    unsigned                        reissuing:1;
    unsigned                        stale_tried:1;
    unsigned                        refused:1; /* an owner we knew refused */
    unsigned                        grid_trouble:1;
    unsigned                        answer_failed:1;
    unsigned                        body_sent:1;
} ngx_http_punit_ctx_t;


/* merge */

void *ngx_http_punit_create_main_conf(ngx_conf_t *cf);
char *ngx_http_punit_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_punit_create_srv_conf(ngx_conf_t *cf);
char *ngx_http_punit_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
void *ngx_http_punit_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_punit_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* context */

ngx_http_punit_ctx_t *ngx_http_punit_ctx(ngx_http_request_t *r);
ngx_http_punit_ctx_t *ngx_http_punit_ctx_create(ngx_http_request_t *r);
void ngx_http_punit_ctx_reset(ngx_http_punit_ctx_t *ctx);
ngx_http_punit_ctx_t *ngx_http_punit_ctx_of_parent(ngx_http_request_t *r);
void ngx_http_punit_wait(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx);
void ngx_http_punit_resume(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx);

/* walk: over headers, one after the other; begins as { NULL, part, 0 } */

typedef struct {
    ngx_list_part_t                *prev;
    ngx_list_part_t                *part;
    ngx_uint_t                      i;         /* of the next one */
} ngx_http_punit_walk_t;

/* the next one; NULL: that was all.  Inline: each request walks four times */

static ngx_inline ngx_table_elt_t *
ngx_http_punit_walk(ngx_http_punit_walk_t *walk)
{
    while (walk->i >= walk->part->nelts) {

        if (walk->part->next == NULL) {
            return NULL;
        }

        walk->prev = walk->part;
        walk->part = walk->part->next;
        walk->i = 0;
    }

    return (ngx_table_elt_t *) walk->part->elts + walk->i++;
}

ngx_table_elt_t *ngx_http_punit_walk_to(ngx_http_punit_walk_t *walk,
    const char *name, size_t len);
ngx_table_elt_t *ngx_http_punit_header(ngx_list_t *headers, const char *name,
    size_t len);

/* ask: the auth worker */

ngx_int_t ngx_http_punit_ask(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *uri);
ngx_int_t ngx_http_punit_answer(ngx_http_punit_ctx_t *ctx, ngx_str_t *body);
void ngx_http_punit_answer_filter(ngx_http_request_t *r, ngx_chain_t *in);

/* access: the PREACCESS phase */

#define NGX_HTTP_PUNIT_STEP_REISSUE  5
#define NGX_HTTP_PUNIT_STEP_DECIDED  6
#define NGX_HTTP_PUNIT_STEP_SENT     7

ngx_int_t ngx_http_punit_access_handler(ngx_http_request_t *r);

/* token: where it is found, and its verdict */

ngx_int_t ngx_http_punit_token_find(ngx_http_request_t *r,
    ngx_array_t *sources, ngx_str_t *token);
ngx_int_t ngx_http_punit_token_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_require_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/* revocation */

ngx_int_t ngx_http_punit_revocation_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/* route: their names end with NUL */

extern ngx_str_t  ngx_http_punit_route_names[NGX_HTTP_PUNIT_ROUTES];

ngx_int_t ngx_http_punit_route_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_route_to(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *unit, uint64_t epoch,
    const char *why);
ngx_int_t ngx_http_punit_route_lost(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_problem_e problem,
    ngx_uint_t again);
ngx_int_t ngx_http_punit_route_stale(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_precontent_handler(ngx_http_request_t *r);

/* follow */

ngx_uint_t ngx_http_punit_follow_status(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_follow(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_uint_t status);
ngx_uint_t ngx_http_punit_was_tried(ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch);
ngx_int_t ngx_http_punit_try(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch);

/* document: the grid route */

ngx_int_t ngx_http_punit_grid_service(ngx_http_request_t *r,
    ngx_str_t *service);
ngx_int_t ngx_http_punit_grid_text(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_grid_key(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_document_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
void ngx_http_punit_document_answered(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/* near: documents in this worker's memory */

ngx_int_t ngx_http_punit_near_find(ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_near_get(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
void ngx_http_punit_near_keep(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/*
 * refill: waits for one that runs.  NGX_AGAIN: handler will be called once,
 * from the event loop, unless the request ends before that; NGX_DECLINED: not
 * waited.  rc: NGX_OK: the worker has answered; NGX_BUSY: this request has
 * waited long enough; NGX_DECLINED: nobody refills any more.
 */

typedef void (*ngx_http_punit_refill_pt)(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_int_t rc);

ngx_int_t ngx_http_punit_refill_wait(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, uint32_t hash,
    ngx_http_punit_refill_pt handler);

/* reissue */

ngx_int_t ngx_http_punit_reissue_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/* headers, cors, problem */

ngx_int_t ngx_http_punit_post_read_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_punit_headers_init(ngx_conf_t *cf);
ngx_int_t ngx_http_punit_add_header(ngx_http_request_t *r, const char *name,
    size_t len, ngx_str_t *value);
ngx_int_t ngx_http_punit_cors_preflight(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_cors_headers(ngx_http_request_t *r);
ngx_int_t ngx_http_punit_refuse(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_problem_e problem,
    const char *detail);
ngx_int_t ngx_http_punit_problem_header(ngx_http_request_t *r,
    ngx_http_punit_ctx_t **ctx);
ngx_int_t ngx_http_punit_problem_inherit(ngx_http_request_t *r);
ngx_int_t ngx_http_punit_problem_init(ngx_conf_t *cf);

/* id */

ngx_str_t *ngx_http_punit_id(ngx_http_punit_ctx_t *ctx);

/* variables */

ngx_int_t ngx_http_punit_add_variables(ngx_conf_t *cf);

/* move */

ngx_int_t ngx_http_punit_move_log_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_move_init_process(ngx_cycle_t *cycle,
    ngx_http_punit_main_conf_t *pmcf);
void ngx_http_punit_move_exit_process(void);

/* listener */

ngx_int_t ngx_http_punit_listener_check(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
ngx_int_t ngx_http_punit_listener_init(ngx_conf_t *cf);

/* peer, state */

ngx_str_t *ngx_http_punit_unit(ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *id);
ngx_http_punit_peer_t *ngx_http_punit_peer(ngx_http_punit_main_conf_t *pmcf,
    ngx_str_t *id);
ngx_int_t ngx_http_punit_peer_init(ngx_conf_t *cf);
ngx_int_t ngx_http_punit_state_load(ngx_http_punit_main_conf_t *pmcf,
    ngx_log_t *log);
ngx_int_t ngx_http_punit_state_set(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_t *peer, ngx_uint_t state, ngx_log_t *log);

/* status */

#define ngx_http_punit_count(r, counter)                                      \
    (void) ngx_atomic_fetch_add(                                              \
        &ngx_http_punit_counters((ngx_http_punit_main_conf_t *)               \
            ngx_http_get_module_main_conf(r, ngx_http_punit_module))          \
            ->counter, 1)

ngx_int_t ngx_http_punit_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_punit_status_put(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
json_t *ngx_http_punit_status_grids(ngx_http_punit_main_conf_t *pmcf);
size_t ngx_http_punit_status_grids_room(ngx_http_punit_main_conf_t *pmcf);
u_char *ngx_http_punit_status_grids_text(ngx_http_punit_main_conf_t *pmcf,
    u_char *p, u_char *last);
json_t *ngx_http_punit_status_peer(ngx_http_punit_peer_t *peer);
ngx_int_t ngx_http_punit_status_send_json(ngx_http_request_t *r,
    json_t *json);
void ngx_http_punit_status_count(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);

/* conf: the setters of directives, and what they share */

char *ngx_http_punit_conf_expected(ngx_conf_t *cf, ngx_str_t *value,
    const char *what);
ngx_uint_t ngx_http_punit_conf_is_off(ngx_conf_t *cf);
ngx_int_t ngx_http_punit_conf_name(u_char *p, size_t len);
ngx_array_t *ngx_http_punit_conf_words(ngx_conf_t *cf);

char *ngx_http_punit_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_state(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_near(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_peer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_require(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_grid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_grid_args(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_named(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_move(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_choice(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_listener(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


extern ngx_module_t  ngx_http_punit_module;


#endif /* _NGX_HTTP_PUNIT_MODULE_H_INCLUDED_ */
