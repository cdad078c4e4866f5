
/*
 * The near cache: small documents that this worker has read from the grid,
 * each with its generation.  A document is good while it has the current
 * generation of the service.  The generation is asked for as it is for a read
 * from the grid.  So the cache never answers what the grid would call a miss,
 * and it does not answer when the grid cannot tell the generation.  The least
 * recently used documents go when punit_grid_near is reached.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_local_cache.h>


/* A limit of the depth: names that share a bucket cannot slow the search. */

#define NGX_HTTP_PUNIT_LOCAL_BUCKETS  1024
#define NGX_HTTP_PUNIT_LOCAL_DEPTH    8

/* One document may take that part of the cache. */

#define NGX_HTTP_PUNIT_LOCAL_PART     16


#define ngx_http_punit_local_hash(text)                                       \
    ngx_murmur_hash2((text)->data, (text)->len)


typedef struct ngx_http_punit_cached_s  ngx_http_punit_cached_t;

struct ngx_http_punit_cached_s {
    ngx_queue_t                     queue;     /* head: used last */
    ngx_http_punit_cached_t        *next;      /* in the bucket */
    ngx_http_punit_grid_t          *grid;
    uint32_t                        flags;     /* of its generation */
    uint32_t                        hash;
    ngx_uint_t                      refs;      /* requests and the cache */
    size_t                          size;
    ngx_str_t                       text;      /* what was asked for */
    ngx_str_t                       document;
};


static ngx_http_punit_cached_t **ngx_http_punit_local_place(
    ngx_http_punit_grid_t *grid, ngx_str_t *text, uint32_t hash);
static void ngx_http_punit_local_remove(ngx_http_punit_cached_t **place);
static void ngx_http_punit_local_release(void *data);


/* Of this process and cycle: the next cycle has other grids. */

static ngx_http_punit_cached_t  *ngx_http_punit_local_buckets[
                                                NGX_HTTP_PUNIT_LOCAL_BUCKETS];
static ngx_queue_t               ngx_http_punit_local_used;
static size_t                    ngx_http_punit_local_size;
static volatile ngx_cycle_t     *ngx_http_punit_local_cycle;


/* NGX_OK: it is there, of any generation; NGX_DECLINED. */

ngx_int_t
ngx_http_punit_local_cache_find(ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t  *text;

    text = &ctx->grid.text;

    return *ngx_http_punit_local_place(ctx->plcf->grid, text,
                                             ngx_http_punit_local_hash(text))
           ? NGX_OK : NGX_DECLINED;
}


/* The request holds a reference, so that the document stays until it ends. */

ngx_int_t
ngx_http_punit_local_cache_get(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t                           *text;
    ngx_pool_cleanup_t                  *cln;
    ngx_http_punit_cached_t  *entry, **place;

    text = &ctx->grid.text;

    place = ngx_http_punit_local_place(ctx->plcf->grid, text,
                                             ngx_http_punit_local_hash(text));
    entry = *place;

    if (entry == NULL) {
        return NGX_DECLINED;
    }

    if (entry->flags != ctx->grid.generation) {
        ngx_http_punit_local_remove(place);
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    entry->refs++;

    cln->handler = ngx_http_punit_local_release;
    cln->data = entry;

    if (ngx_queue_head(&ngx_http_punit_local_used) != &entry->queue) {
        ngx_queue_remove(&entry->queue);
        ngx_queue_insert_head(&ngx_http_punit_local_used, &entry->queue);
    }

    ctx->grid.document = entry->document;

    return NGX_OK;
}


/* The document was read from the grid, and has this generation. */

void
ngx_http_punit_local_cache_keep(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    u_char                              *p;
    size_t                               size, limit;
    uint32_t                             hash;
    ngx_uint_t                           n;
    ngx_queue_t                         *q;
    ngx_http_punit_cached_t  *entry, **place, **bucket;
    ngx_http_punit_main_conf_t          *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    limit = pmcf->local_cache;
    size = sizeof(ngx_http_punit_cached_t) + ctx->grid.text.len
           + ctx->grid.document.len;

    if (size > limit / NGX_HTTP_PUNIT_LOCAL_PART) {
        return;
    }

    hash = ngx_http_punit_local_hash(&ctx->grid.text);
    place = ngx_http_punit_local_place(ctx->plcf->grid, &ctx->grid.text,
                                             hash);

    if (*place) {

        if ((*place)->flags == ctx->grid.generation) {
            return;
        }

        ngx_http_punit_local_remove(place);
    }

    while (ngx_http_punit_local_size + size > limit) {
        q = ngx_queue_last(&ngx_http_punit_local_used);
        entry = ngx_queue_data(q, ngx_http_punit_cached_t, queue);

        ngx_http_punit_local_remove(ngx_http_punit_local_place(entry->grid,
                                                   &entry->text, entry->hash));
    }

    bucket = &ngx_http_punit_local_buckets[hash
                                           % NGX_HTTP_PUNIT_LOCAL_BUCKETS];

    for (n = 1, place = bucket; *place; n++, place = &(*place)->next) {
        if (n == NGX_HTTP_PUNIT_LOCAL_DEPTH) {
            ngx_http_punit_local_remove(place);
            break;
        }
    }

    entry = ngx_alloc(size, r->connection->log);
    if (entry == NULL) {
        return;
    }

    p = (u_char *) &entry[1];

    entry->text.data = p;
    entry->text.len = ctx->grid.text.len;
    p = ngx_cpymem(p, ctx->grid.text.data, ctx->grid.text.len);

    entry->document.data = p;
    entry->document.len = ctx->grid.document.len;
    ngx_memcpy(p, ctx->grid.document.data, ctx->grid.document.len);

    entry->grid = ctx->plcf->grid;
    entry->flags = ctx->grid.generation;
    entry->hash = hash;
    entry->size = size;
    entry->refs = 1;

    entry->next = *bucket;
    *bucket = entry;

    ngx_queue_insert_head(&ngx_http_punit_local_used, &entry->queue);
    ngx_http_punit_local_size += size;
}


/* The link to the entry, or the end of its bucket. */

static ngx_http_punit_cached_t **
ngx_http_punit_local_place(ngx_http_punit_grid_t *grid, ngx_str_t *text,
    uint32_t hash)
{
    ngx_uint_t                            i;
    ngx_http_punit_cached_t  **place;

    if (ngx_http_punit_local_cycle != ngx_cycle) {

        if (ngx_http_punit_local_cycle == NULL) {
            ngx_queue_init(&ngx_http_punit_local_used);
        }

        for (i = 0; i < NGX_HTTP_PUNIT_LOCAL_BUCKETS; i++) {
            while (ngx_http_punit_local_buckets[i]) {
                ngx_http_punit_local_remove(&ngx_http_punit_local_buckets[i]);
            }
        }

        ngx_http_punit_local_cycle = ngx_cycle;
    }

    place = &ngx_http_punit_local_buckets[hash % NGX_HTTP_PUNIT_LOCAL_BUCKETS];

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
ngx_http_punit_local_remove(ngx_http_punit_cached_t **place)
{
    ngx_http_punit_cached_t  *entry;

    entry = *place;

    *place = entry->next;
    ngx_queue_remove(&entry->queue);
    ngx_http_punit_local_size -= entry->size;

    ngx_http_punit_local_release(entry);
}


static void
ngx_http_punit_local_release(void *data)
{
    ngx_http_punit_cached_t  *entry = data;

    if (--entry->refs == 0) {
        ngx_free(entry);
    }
}
