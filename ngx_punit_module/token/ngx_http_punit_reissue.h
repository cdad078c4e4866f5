
/* Punit-Token: new tokens for users that this unit owns. */


#ifndef _NGX_HTTP_PUNIT_REISSUE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_REISSUE_H_INCLUDED_


#include <ngx_http_punit.h>


/* A jti and an epoch, in bytes. */

#define NGX_HTTP_PUNIT_REISSUE_NAME  (NGX_HTTP_PUNIT_USER_MAX + 8)


/* The token that replaces the one with this jti and epoch, in the zone. */

typedef struct {
    ngx_str_node_t                  name;      /* jti, epoch */
    ngx_queue_t                     queue;
    time_t                          exp;
    ngx_msec_t                      retry;     /* len 0: not before that */
    u_char                          key[NGX_HTTP_PUNIT_REISSUE_NAME];
    uint16_t                        len;
    u_char                          token[1];
} ngx_http_punit_reissued_token_t;


struct ngx_http_punit_reissue_cache_s {
    ngx_rbtree_t                    rbtree;
    ngx_rbtree_node_t               sentinel;
    ngx_queue_t                     queue;     /* head: used last */
    size_t                          size;
    size_t                          limit;
};


/* limit: bytes of the zone.  NULL if the zone is full. */

ngx_http_punit_reissue_cache_t *ngx_http_punit_reissue_init(
    ngx_slab_pool_t *shpool, size_t limit);


/* Access step: sets ctx->token.reissued if the user needs a new token. */

ngx_int_t ngx_http_punit_reissue_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


#endif /* _NGX_HTTP_PUNIT_REISSUE_H_INCLUDED_ */
