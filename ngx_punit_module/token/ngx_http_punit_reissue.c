
/*
 * Punit-Token: the token for who is served here and whose token names another
 * unit or an older epoch.  The auth worker makes it, once per (jti, epoch);
 * repeats come from the zone.  Without one nothing is lost: the old token
 * still finds its way.
 */


#include "ngx_http_punit_module.h"


#define NGX_HTTP_PUNIT_REISSUED_MAX   8192     /* bytes of a token */
#define NGX_HTTP_PUNIT_REISSUE_RETRY  1000     /* ms, after a failure */


static ngx_int_t ngx_http_punit_reissue_answer(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_int_t ngx_http_punit_reissue_get(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_zone_t *zone);
static void ngx_http_punit_reissue_set(ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone, ngx_str_t *token);
static ngx_http_punit_reissued_t *ngx_http_punit_reissue_find(
    ngx_http_punit_reissues_t *reissues, ngx_str_t *jti, uint64_t epoch);
static void ngx_http_punit_reissue_delete(ngx_http_punit_zone_t *zone,
    ngx_http_punit_reissued_t *e);
static ngx_int_t ngx_http_punit_reissue_compare(uint64_t epoch, u_char *jti,
    size_t len, ngx_http_punit_reissued_t *e);
static void ngx_http_punit_reissue_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);


#define ngx_http_punit_reissued_size(len)                                     \
    (offsetof(ngx_http_punit_reissued_t, token) + (len))


ngx_int_t
ngx_http_punit_reissue_step(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_punit_claims_t     *claims;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->reissuing) {
        return ngx_http_punit_reissue_answer(r, ctx);
    }

    claims = &ctx->claims;

    if (!ctx->user
        || ctx->plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || ctx->route != NGX_HTTP_PUNIT_ROUTE_LOCAL
        || ctx->plcf->reissue.len == 0
        || ctx->epoch == 0
        || claims->jti.len == 0
        || claims->jti.len > NGX_HTTP_PUNIT_USER_MAX)
    {
        return NGX_OK;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (claims->epoch == ctx->epoch
        && claims->unit.len == pmcf->unit.len
        && ngx_memcmp(claims->unit.data, pmcf->unit.data, pmcf->unit.len) == 0)
    {
        return NGX_OK;
    }

    rc = ngx_http_punit_reissue_get(r, ctx, ngx_http_punit_zone(pmcf));

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_punit_ask(r, ctx, &ctx->plcf->reissue) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->reissuing = 1;

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

    ctx->reissuing = 0;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    status = ctx->subrequest->headers_out.status;

    if (ngx_http_punit_answer(ctx, &token) == NGX_OK) {

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

        /* these say that the user is not owned here (yet) */

        if (status != NGX_HTTP_MISDIRECTED_REQUEST
            && status != NGX_HTTP_CONFLICT)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "punit_reissue gave no answer (%ui)", status);
        }
    }

    if (token.len) {
        ctx->reissued = token;
        ngx_http_punit_count(r, reissued);
    }

    ngx_http_punit_reissue_set(ctx, ngx_http_punit_zone(pmcf), &token);

    return NGX_OK;
}


ngx_http_punit_reissues_t *
ngx_http_punit_reissues_init(ngx_slab_pool_t *shpool, size_t limit)
{
    ngx_http_punit_reissues_t  *reissues;

    reissues = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_reissues_t));
    if (reissues == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&reissues->rbtree, &reissues->sentinel,
                    ngx_http_punit_reissue_insert);
    ngx_queue_init(&reissues->queue);
    reissues->limit = limit;

    return reissues;
}


/* NGX_OK: ctx->reissued is set, or it is too early to ask again; NGX_DECLINED:
   ask; NGX_HTTP_INTERNAL_SERVER_ERROR */

static ngx_int_t
ngx_http_punit_reissue_get(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_http_punit_reissued_t  *e;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_http_punit_reissue_find(zone->sh->reissues, &ctx->claims.jti,
                                    ctx->epoch);

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

        ctx->reissued.data = p;
        ctx->reissued.len = e->len;
        ngx_memcpy(p, e->token, e->len);

    } else if ((ngx_msec_int_t) (e->retry - ngx_current_msec) > 0) {
        rc = NGX_OK;
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* an empty token: none was had, ask again later.  What finds no place is not
   kept, that costs another question only */

static void
ngx_http_punit_reissue_set(ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_zone_t *zone, ngx_str_t *token)
{
    size_t                      size;
    ngx_queue_t                *q;
    ngx_uint_t                  tries;
    ngx_http_punit_reissued_t  *e;
    ngx_http_punit_reissues_t  *reissues;

    reissues = zone->sh->reissues;
    size = ngx_http_punit_reissued_size(token->len);

    ngx_shmtx_lock(&zone->shpool->mutex);

    e = ngx_http_punit_reissue_find(reissues, &ctx->claims.jti, ctx->epoch);

    if (e) {
        ngx_http_punit_reissue_delete(zone, e);
    }

    /* two of the oldest go if they have expired, more if there is no room */

    for (tries = 0; !ngx_queue_empty(&reissues->queue); tries++) {
        q = ngx_queue_last(&reissues->queue);
        e = ngx_queue_data(q, ngx_http_punit_reissued_t, queue);

        if (reissues->size + size <= reissues->limit
            && (tries >= 2 || e->exp > ngx_time()))
        {
            break;
        }

        ngx_http_punit_reissue_delete(zone, e);
    }

    e = ngx_slab_alloc_locked(zone->shpool, size);

    while (e == NULL) {

        if (!ngx_queue_empty(&reissues->queue)) {
            q = ngx_queue_last(&reissues->queue);
            ngx_http_punit_reissue_delete(zone,
                    ngx_queue_data(q, ngx_http_punit_reissued_t, queue));

        } else if (ngx_http_punit_verdicts_evict_locked(zone->sh->verdicts,
                                                        zone->shpool, 8)
                   == 0)
        {
            goto done;
        }

        e = ngx_slab_alloc_locked(zone->shpool, size);
    }

    e->epoch = ctx->epoch;
    e->exp = ctx->claims.exp;
    e->retry = ngx_current_msec + NGX_HTTP_PUNIT_REISSUE_RETRY;
    e->jti_len = (u_char) ctx->claims.jti.len;
    ngx_memcpy(e->jti, ctx->claims.jti.data, ctx->claims.jti.len);
    e->len = (uint16_t) token->len;
    ngx_memcpy(e->token, token->data, token->len);

    e->node.key = ngx_crc32_short(e->jti, e->jti_len);
    ngx_rbtree_insert(&reissues->rbtree, &e->node);
    ngx_queue_insert_head(&reissues->queue, &e->queue);
    reissues->size += size;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_http_punit_reissued_t *
ngx_http_punit_reissue_find(ngx_http_punit_reissues_t *reissues,
    ngx_str_t *jti, uint64_t epoch)
{
    uint32_t                    hash;
    ngx_int_t                   rc;
    ngx_rbtree_node_t          *node, *sentinel;
    ngx_http_punit_reissued_t  *e;

    hash = ngx_crc32_short(jti->data, jti->len);

    node = reissues->rbtree.root;
    sentinel = reissues->rbtree.sentinel;

    while (node != sentinel) {

        if (hash != node->key) {
            node = (hash < node->key) ? node->left : node->right;
            continue;
        }

        e = (ngx_http_punit_reissued_t *) node;

        rc = ngx_http_punit_reissue_compare(epoch, jti->data, jti->len, e);

        if (rc == 0) {
            ngx_queue_remove(&e->queue);
            ngx_queue_insert_head(&reissues->queue, &e->queue);
            return e;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_punit_reissue_delete(ngx_http_punit_zone_t *zone,
    ngx_http_punit_reissued_t *e)
{
    ngx_queue_remove(&e->queue);
    ngx_rbtree_delete(&zone->sh->reissues->rbtree, &e->node);
    zone->sh->reissues->size -= ngx_http_punit_reissued_size(e->len);
    ngx_slab_free_locked(zone->shpool, e);
}


static ngx_int_t
ngx_http_punit_reissue_compare(uint64_t epoch, u_char *jti, size_t len,
    ngx_http_punit_reissued_t *e)
{
    if (epoch != e->epoch) {
        return (epoch < e->epoch) ? -1 : 1;
    }

    return ngx_memn2cmp(jti, e->jti, len, e->jti_len);
}


static void
ngx_http_punit_reissue_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t          **p;
    ngx_http_punit_reissued_t   *e;

    for ( ;; ) {

        if (node->key < temp->key) {
            p = &temp->left;

        } else if (node->key > temp->key) {
            p = &temp->right;

        } else {
            e = (ngx_http_punit_reissued_t *) node;

            p = (ngx_http_punit_reissue_compare(e->epoch, e->jti, e->jti_len,
                                        (ngx_http_punit_reissued_t *) temp)
                 < 0) ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}
