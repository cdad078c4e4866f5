
/*
 * The near cache: small documents that this worker has read from the grid,
 * each with the generation that it is of.  One is good while it is of the
 * service's generation, which is asked for as if the document had to be read:
 * what the grid would call a miss is none here, and without a grid that knows
 * its generation nothing is answered from here.  The least recently used ones
 * go when punit_grid_near is reached.
 */


#include "ngx_http_punit_module.h"


/* nobody can make the search long by names that fall into one bucket */

#define NGX_HTTP_PUNIT_NEAR_BUCKETS  1024
#define NGX_HTTP_PUNIT_NEAR_DEPTH    8

/* one document may take that part of all */

#define NGX_HTTP_PUNIT_NEAR_PART     16


#define ngx_http_punit_near_hash(text)                                        \
    ngx_murmur_hash2((text)->data, (text)->len)


typedef struct ngx_http_punit_near_s  ngx_http_punit_near_t;

struct ngx_http_punit_near_s {
    ngx_queue_t                     queue;     /* least recently used: last */
    ngx_http_punit_near_t          *next;      /* in the bucket */
    ngx_http_punit_grid_t          *grid;
    uint32_t                        flags;     /* of its generation */
    uint32_t                        hash;
    ngx_uint_t                      refs;      /* requests, and the cache */
    size_t                          size;
    ngx_str_t                       text;      /* what was asked for */
    ngx_str_t                       document;
};


static ngx_http_punit_near_t **ngx_http_punit_near_place(
    ngx_http_punit_grid_t *grid, ngx_str_t *text, uint32_t hash);
static void ngx_http_punit_near_remove(ngx_http_punit_near_t **place);
static void ngx_http_punit_near_release(void *data);


/* of this process and cycle: the next one has other grids */

static ngx_http_punit_near_t  *ngx_http_punit_near[
                                                NGX_HTTP_PUNIT_NEAR_BUCKETS];
static ngx_queue_t             ngx_http_punit_near_used;
static size_t                  ngx_http_punit_near_size;
static volatile ngx_cycle_t   *ngx_http_punit_near_cycle;


/* NGX_OK: there is one, of whatever generation; NGX_DECLINED */

ngx_int_t
ngx_http_punit_near_find(ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t  *text;

    text = &ctx->grid_text;

    return *ngx_http_punit_near_place(ctx->plcf->grid, text,
                                      ngx_http_punit_near_hash(text))
           ? NGX_OK : NGX_DECLINED;
}


/*
 * NGX_OK: ctx->document is the one of ctx->generation, and stays until r ends;
 * NGX_DECLINED: there is none; NGX_ERROR: no memory
 */

ngx_int_t
ngx_http_punit_near_get(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t               *text;
    ngx_pool_cleanup_t      *cln;
    ngx_http_punit_near_t   *near, **place;

    text = &ctx->grid_text;

    place = ngx_http_punit_near_place(ctx->plcf->grid, text,
                                      ngx_http_punit_near_hash(text));
    near = *place;

    if (near == NULL) {
        return NGX_DECLINED;
    }

    if (near->flags != ctx->generation) {
        ngx_http_punit_near_remove(place);
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    near->refs++;

    cln->handler = ngx_http_punit_near_release;
    cln->data = near;

    if (ngx_queue_head(&ngx_http_punit_near_used) != &near->queue) {
        ngx_queue_remove(&near->queue);
        ngx_queue_insert_head(&ngx_http_punit_near_used, &near->queue);
    }

    ctx->document = near->document;

    return NGX_OK;
}


/* ctx->document was read from the grid and is of ctx->generation */

void
ngx_http_punit_near_keep(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    size_t                       size, limit;
    uint32_t                     hash;
    ngx_uint_t                   n;
    ngx_queue_t                 *q;
    ngx_http_punit_near_t       *near, **place, **bucket;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    limit = pmcf->near;
    size = sizeof(ngx_http_punit_near_t) + ctx->grid_text.len
           + ctx->document.len;

    if (size > limit / NGX_HTTP_PUNIT_NEAR_PART) {
        return;
    }

    hash = ngx_http_punit_near_hash(&ctx->grid_text);
    place = ngx_http_punit_near_place(ctx->plcf->grid, &ctx->grid_text, hash);

    if (*place) {

        if ((*place)->flags == ctx->generation) {
            return;
        }

        ngx_http_punit_near_remove(place);
    }

    while (ngx_http_punit_near_size + size > limit) {
        q = ngx_queue_last(&ngx_http_punit_near_used);
        near = ngx_queue_data(q, ngx_http_punit_near_t, queue);

        ngx_http_punit_near_remove(ngx_http_punit_near_place(near->grid,
                                                   &near->text, near->hash));
    }

    bucket = &ngx_http_punit_near[hash % NGX_HTTP_PUNIT_NEAR_BUCKETS];

    for (n = 1, place = bucket; *place; n++, place = &(*place)->next) {
        if (n == NGX_HTTP_PUNIT_NEAR_DEPTH) {
            ngx_http_punit_near_remove(place);
            break;
        }
    }

    near = ngx_alloc(size, r->connection->log);
    if (near == NULL) {
        return;
    }

    p = (u_char *) &near[1];

    near->text.data = p;
    near->text.len = ctx->grid_text.len;
    p = ngx_cpymem(p, ctx->grid_text.data, ctx->grid_text.len);

    near->document.data = p;
    near->document.len = ctx->document.len;
    ngx_memcpy(p, ctx->document.data, ctx->document.len);

    near->grid = ctx->plcf->grid;
    near->flags = ctx->generation;
    near->hash = hash;
    near->size = size;
    near->refs = 1;

    near->next = *bucket;
    *bucket = near;

    ngx_queue_insert_head(&ngx_http_punit_near_used, &near->queue);
    ngx_http_punit_near_size += size;
}


/* where it is linked, or where its bucket ends */

static ngx_http_punit_near_t **
ngx_http_punit_near_place(ngx_http_punit_grid_t *grid, ngx_str_t *text,
    uint32_t hash)
{
    ngx_uint_t               i;
    ngx_http_punit_near_t  **place;

    if (ngx_http_punit_near_cycle != ngx_cycle) {

        if (ngx_http_punit_near_cycle == NULL) {
            ngx_queue_init(&ngx_http_punit_near_used);
        }

        for (i = 0; i < NGX_HTTP_PUNIT_NEAR_BUCKETS; i++) {
            while (ngx_http_punit_near[i]) {
                ngx_http_punit_near_remove(&ngx_http_punit_near[i]);
            }
        }

        ngx_http_punit_near_cycle = ngx_cycle;
    }

    place = &ngx_http_punit_near[hash % NGX_HTTP_PUNIT_NEAR_BUCKETS];

    for ( /* void */ ; *place; place = &(*place)->next) {
        if ((*place)->hash == hash
            && (*place)->grid == grid
            && (*place)->text.len == text->len
            && ngx_memcmp((*place)->text.data, text->data, text->len) == 0)
        {
            break;
        }
    }

    return place;
}


static void
ngx_http_punit_near_remove(ngx_http_punit_near_t **place)
{
    ngx_http_punit_near_t  *near;

    near = *place;

    *place = near->next;
    ngx_queue_remove(&near->queue);
    ngx_http_punit_near_size -= near->size;

    ngx_http_punit_near_release(near);
}


static void
ngx_http_punit_near_release(void *data)
{
    ngx_http_punit_near_t  *near = data;

    if (--near->refs == 0) {
        ngx_free(near);
    }
}
