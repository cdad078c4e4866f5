
/*
 * Punit-Token: a new token for a user served here whose token names another
 * unit or an older epoch.  The auth worker makes it, once per (jti, epoch).
 * Repeats come from the zone.  Without it nothing is lost: the old token still
 * finds the owner.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_reissue.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_subrequest.h>


#define NGX_HTTP_PUNIT_REISSUED_MAX   8192     /* bytes of a token */
#define NGX_HTTP_PUNIT_REISSUE_RETRY  1000     /* ms, after a failure */


static ngx_int_t ngx_http_punit_reissue_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_reissue_get(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_zone_t *zone);
static void ngx_http_punit_reissue_set(ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone, ngx_str_t *token);
static void ngx_http_punit_reissue_name(ngx_http_punit_ctx_t *ctx,
    ngx_str_t *name);
static ngx_http_punit_reissued_token_t *ngx_http_punit_reissue_find(
    ngx_http_punit_reissue_cache_t *reissues, ngx_str_t *name);
static ngx_http_punit_reissued_token_t *ngx_http_punit_reissue_alloc(
    ngx_http_punit_zone_t *zone, size_t size);
static void ngx_http_punit_reissue_delete(ngx_http_punit_zone_t *zone,
    ngx_http_punit_reissued_token_t *e);


#define ngx_http_punit_reissued_size(len)                                     \
    (offsetof(ngx_http_punit_reissued_token_t, token) + (len))


ngx_int_t
ngx_http_punit_reissue_step(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_punit_claims_t     *claims;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->token.reissuing) {
        return ngx_http_punit_reissue_answer(r, ctx);
    }

    claims = &ctx->token.claims;

    if (!ctx->token.user
        || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || ctx->route.type != NGX_HTTP_PUNIT_ROUTE_LOCAL
        || ctx->plcf->reissue.len == 0
        || ctx->route.epoch == 0
        || claims->jti.len == 0
        || claims->jti.len > NGX_HTTP_PUNIT_USER_MAX)
    {
        return NGX_OK;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (claims->epoch == ctx->route.epoch
        && claims->unit.len == pmcf->unit.len
        && ngx_memcmp(claims->unit.data, pmcf->unit.data, pmcf->unit.len) == 0)
    {
        return NGX_OK;
    }

    rc = ngx_http_punit_reissue_get(r, ctx, ngx_http_punit_zone(pmcf));

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_punit_subrequest(r, ctx, &ctx->plcf->reissue) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->token.reissuing = 1;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_punit_reissue_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    size_t                       i;
    ngx_str_t                    token;
    ngx_uint_t                   status;
    ngx_http_punit_main_conf_t  *pmcf;

    ctx->token.reissuing = 0;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    status = ctx->subrequest.request->headers_out.status;

    if (ngx_http_punit_subrequest_answer(ctx, &token) == NGX_OK) {

        for (i = 0; i < token.len; i++) {
            if (token.data[i] <= 0x20 || token.data[i] >= 0x7f) {
                break;
            }
        }

        if (i < token.len || token.len > NGX_HTTP_PUNIT_REISSUED_MAX) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "punit_reissue answered what is no token");
            token.len = 0;
        }

    } else {
        token.len = 0;

        /* These say that the user is not owned here (yet). */

        if (status != NGX_HTTP_MISDIRECTED_REQUEST
            && status != NGX_HTTP_CONFLICT)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "punit_reissue gave no answer (%ui)", status);
        }
    }

    if (token.len) {
        ctx->token.reissued = token;
        ngx_http_punit_counter_add(r, reissued);
    }

    ngx_http_punit_reissue_set(ctx, ngx_http_punit_zone(pmcf), &token);

    return NGX_OK;
}


ngx_http_punit_reissue_cache_t *
ngx_http_punit_reissue_init(ngx_slab_pool_t *shpool, size_t limit)
{
    ngx_http_punit_reissue_cache_t  *reissues;

    reissues = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_reissue_cache_t));
    if (reissues == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&reissues->rbtree, &reissues->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&reissues->queue);
    reissues->limit = limit;

    return reissues;
}


/*
 * NGX_OK: ctx->token.reissued is set, or it is too early to ask again;
 * NGX_DECLINED: ask; NGX_HTTP_INTERNAL_SERVER_ERROR.
 */

static ngx_int_t
ngx_http_punit_reissue_get(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone)
{
    u_char                           *p;
    ngx_int_t                         rc;
    ngx_str_t                         name;
    ngx_http_punit_reissued_token_t  *e;
    u_char                            buf[NGX_HTTP_PUNIT_REISSUE_NAME];

    rc = NGX_DECLINED;

    name.data = buf;
    ngx_http_punit_reissue_name(ctx, &name);

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_http_punit_reissue_find(zone->sh->reissues, &name);

    if (e == NULL) {
        goto done;
    }

    if (e->len) {
        rc = NGX_OK;

        p = ngx_pnalloc(r->pool, e->len);
        if (p == NULL) {
            rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            goto done;
        }

        ctx->token.reissued.data = p;
        ctx->token.reissued.len = e->len;
        ngx_memcpy(p, e->token, e->len);

    } else if ((ngx_msec_int_t) (e->retry - ngx_current_msec) > 0) {
        rc = NGX_OK;
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/*
 * An empty token: there was none, ask again later.  A token without a place is
 * not kept, which only costs another question.
 */

static void
ngx_http_punit_reissue_set(ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone, ngx_str_t *token)
{
    size_t                            size;
    ngx_str_t                         name;
    ngx_uint_t                        tries;
    ngx_queue_t                      *q;
    ngx_http_punit_reissue_cache_t   *reissues;
    ngx_http_punit_reissued_token_t  *e;
    u_char                            buf[NGX_HTTP_PUNIT_REISSUE_NAME];

    reissues = zone->sh->reissues;
    size = ngx_http_punit_reissued_size(token->len);

    name.data = buf;
    ngx_http_punit_reissue_name(ctx, &name);

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_http_punit_reissue_find(reissues, &name);

    if (e) {
        ngx_http_punit_reissue_delete(zone, e);
    }

    /* Two of the oldest go if they have expired, more if there is no room. */

    for (tries = 0; !ngx_queue_empty(&reissues->queue); tries++) {
        q = ngx_queue_last(&reissues->queue);
        e = ngx_queue_data(q, ngx_http_punit_reissued_token_t, queue);

        if (reissues->size + size <= reissues->limit
            && (tries >= 2 || e->exp > ngx_time()))
        {
            break;
        }

        ngx_http_punit_reissue_delete(zone, e);
    }

    e = ngx_http_punit_reissue_alloc(zone, size);

    if (e == NULL) {
        goto done;
    }

    ngx_memcpy(e->key, name.data, name.len);
    e->name.str.data = e->key;
    e->name.str.len = name.len;
    e->name.node.key = ngx_crc32_short(name.data, name.len);

    e->exp = ctx->token.claims.exp;
    e->retry = ngx_current_msec + NGX_HTTP_PUNIT_REISSUE_RETRY;
    e->len = (uint16_t) token->len;
    ngx_memcpy(e->token, token->data, token->len);

    ngx_rbtree_insert(&reissues->rbtree, &e->name.node);
    ngx_queue_insert_head(&reissues->queue, &e->queue);
    reissues->size += size;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* The name of a token: its jti, then the epoch. */

static void
ngx_http_punit_reissue_name(ngx_http_punit_ctx_t *ctx, ngx_str_t *name)
{
    u_char  *p;

    p = ngx_cpymem(name->data, ctx->token.claims.jti.data,
                   ctx->token.claims.jti.len);
    p = ngx_cpymem(p, &ctx->route.epoch, sizeof(uint64_t));

    name->len = p - name->data;
}


static ngx_http_punit_reissued_token_t *
ngx_http_punit_reissue_find(ngx_http_punit_reissue_cache_t *reissues,
    ngx_str_t *name)
{
    ngx_str_node_t                   *node;
    ngx_http_punit_reissued_token_t  *e;

    node = ngx_str_rbtree_lookup(&reissues->rbtree, name,
                                 ngx_crc32_short(name->data, name->len));
    if (node == NULL) {
        return NULL;
    }

    e = (ngx_http_punit_reissued_token_t *) node;

    ngx_queue_remove(&e->queue);
    ngx_queue_insert_head(&reissues->queue, &e->queue);

    return e;
}


/* A full zone evicts tokens, then verdicts; NULL: nothing is left to evict. */

static ngx_http_punit_reissued_token_t *
ngx_http_punit_reissue_alloc(ngx_http_punit_zone_t *zone, size_t size)
{
    ngx_queue_t                      *q, *queue;
    ngx_http_punit_verdict_cache_t   *verdicts;
    ngx_http_punit_reissued_token_t  *e;

    queue = &zone->sh->reissues->queue;
    verdicts = zone->sh->verdict_cache;

    for ( ;; ) {
        e = ngx_slab_alloc_locked(zone->shpool, size);

        if (e) {
            return e;
        }

        if (!ngx_queue_empty(queue)) {
            q = ngx_queue_last(queue);
            ngx_http_punit_reissue_delete(zone,
                    ngx_queue_data(q, ngx_http_punit_reissued_token_t, queue));

        } else if (ngx_http_punit_verdict_cache_evict_locked(verdicts,
                                                             zone->shpool, 8)
                   == 0)
        {
            return NULL;
        }
    }
}


static void
ngx_http_punit_reissue_delete(ngx_http_punit_zone_t *zone,
    ngx_http_punit_reissued_token_t *e)
{
    ngx_queue_remove(&e->queue);
    ngx_rbtree_delete(&zone->sh->reissues->rbtree, &e->name.node);
    zone->sh->reissues->size -= ngx_http_punit_reissued_size(e->len);
    ngx_slab_free_locked(zone->shpool, e);
}
