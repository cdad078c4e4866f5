
/*
 * Verdicts in shared memory: slots in buckets by digest, and in a list by use.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_verdict_cache.h>


/* The size of a typical token, for the number of buckets. */

#define NGX_HTTP_PUNIT_SLOT_TYPICAL  1024

/*
 * An insertion may evict that many, so that a full zone costs a request a
 * limited time.
 */

#define NGX_HTTP_PUNIT_VERDICT_EVICT  16


/* The strings of the claims, stored one after the other. */

static const size_t  ngx_http_punit_slot_texts[] = {
    offsetof(ngx_http_punit_claims_t, user),
    offsetof(ngx_http_punit_claims_t, jti),
    offsetof(ngx_http_punit_claims_t, sid),
    offsetof(ngx_http_punit_claims_t, unit),
    offsetof(ngx_http_punit_claims_t, roles),
    offsetof(ngx_http_punit_claims_t, issuer),
    offsetof(ngx_http_punit_claims_t, kid),
    offsetof(ngx_http_punit_claims_t, payload)
};

#define NGX_HTTP_PUNIT_SLOT_TEXTS                                             \
    (sizeof(ngx_http_punit_slot_texts) / sizeof(size_t))

#define ngx_http_punit_slot_text(claims, i)                                   \
    ((ngx_str_t *) ((u_char *) (claims) + ngx_http_punit_slot_texts[i]))


struct ngx_http_punit_slot_s {
    ngx_queue_t                     queue;
    ngx_http_punit_slot_t  *next;      /* in the bucket */
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    uint64_t                        epoch;
    uint64_t                        gen;
    time_t                          exp;
    time_t                          iat;
    time_t                          nbf;
    time_t                          used;      /* when moved to the head */
    ngx_msec_t                      checked_at;
    ngx_uint_t                      checked;
    uint32_t                        size;      /* of the slab's chunk */
    uint32_t                        len;       /* of data */
    uint32_t                        lens[NGX_HTTP_PUNIT_SLOT_TEXTS];
    u_char                          data[1];
};


static ngx_http_punit_slot_t *ngx_http_punit_slot_find(
    ngx_http_punit_verdict_cache_t *cache, u_char *digest);
static void ngx_http_punit_slot_free(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_slot_t *slot);
static ngx_http_punit_slot_t **ngx_http_punit_slot_bucket(
    ngx_http_punit_verdict_cache_t *cache, const u_char *digest);
static size_t ngx_http_punit_slot_chunk(size_t size);
static ngx_http_punit_refused_t *ngx_http_punit_refused_slot(
    ngx_http_punit_verdict_cache_t *cache, const u_char *digest);


ngx_http_punit_verdict_cache_t *
ngx_http_punit_verdict_cache_init(ngx_slab_pool_t *shpool, size_t limit)
{
    ngx_uint_t                       n;
    ngx_http_punit_verdict_cache_t  *cache;

    cache = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_verdict_cache_t));
    if (cache == NULL) {
        return NULL;
    }

    for (n = 64; n < limit / NGX_HTTP_PUNIT_SLOT_TYPICAL; n *= 2) {
        /* void */
    }

    cache->buckets = ngx_slab_calloc(shpool,
                                     n * sizeof(ngx_http_punit_slot_t *));
    if (cache->buckets == NULL) {
        return NULL;
    }

    cache->mask = n - 1;
    cache->limit = limit;

    ngx_queue_init(&cache->queue);

    return cache;
}


/* NGX_OK; NGX_DECLINED: not there; NGX_ERROR. */

ngx_int_t
ngx_http_punit_verdict_cache_find(ngx_pool_t *pool,
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, u_char *digest, time_t now,
    time_t leeway)
{
    u_char                         *p;
    ngx_str_t                      *text;
    ngx_uint_t                      i;
    ngx_http_punit_slot_t  *slot;

    ngx_shmtx_lock(&shpool->mutex);

    slot = ngx_http_punit_slot_find(cache, digest);

    if (slot && now >= slot->exp) {
        ngx_http_punit_slot_free(cache, shpool, slot);
        slot = NULL;
    }

    /* The clock may have been set back since. */

    if (slot == NULL
        || slot->nbf > now + leeway
        || slot->iat > now + leeway)
    {
        cache->misses++;
        ngx_shmtx_unlock(&shpool->mutex);
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, slot->len);
    if (p == NULL) {
        ngx_shmtx_unlock(&shpool->mutex);
        return NGX_ERROR;
    }

    ngx_memcpy(p, slot->data, slot->len);

    for (i = 0; i < NGX_HTTP_PUNIT_SLOT_TEXTS; i++) {
        text = ngx_http_punit_slot_text(claims, i);
        text->len = slot->lens[i];
        text->data = p;
        p += slot->lens[i];
    }

    claims->epoch = slot->epoch;
    claims->gen = slot->gen;
    claims->exp = slot->exp;
    claims->iat = slot->iat;
    claims->nbf = slot->nbf;
    claims->checked_at = slot->checked_at;
    claims->checked = slot->checked ? 1 : 0;
    claims->cached = 1;

    /*
     * An order by seconds is enough, and saves writes to shared cache lines.
     */

    if (slot->used != now) {
        slot->used = now;
        ngx_queue_remove(&slot->queue);
        ngx_queue_insert_head(&cache->queue, &slot->queue);
    }

    cache->hits++;

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_memcpy(claims->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    return NGX_OK;
}


void
ngx_http_punit_verdict_cache_keep(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, time_t now)
{
    size_t                          len, size;
    u_char                         *p;
    ngx_str_t                      *text;
    ngx_uint_t                      i, n;
    ngx_http_punit_slot_t  *slot, **bucket;

    /* The leeway still accepts it, but it is never kept past exp. */

    if (now >= claims->exp) {
        return;
    }

    len = 0;

    for (i = 0; i < NGX_HTTP_PUNIT_SLOT_TEXTS; i++) {
        len += ngx_http_punit_slot_text(claims, i)->len;
    }

    size = ngx_http_punit_slot_chunk(offsetof(ngx_http_punit_slot_t, data)
                                             + len);

    ngx_shmtx_lock(&shpool->mutex);

    if (ngx_http_punit_slot_find(cache, claims->digest)) {
        /* Another worker was faster. */
        goto done;
    }

    slot = NULL;

    for (n = 0; n <= NGX_HTTP_PUNIT_VERDICT_EVICT; n++) {

        if (cache->size + size <= cache->limit) {
            slot = ngx_slab_alloc_locked(shpool, size);

            if (slot) {
                break;
            }
        }

        if (ngx_http_punit_verdict_cache_evict_locked(cache, shpool, 1) == 0) {
            break;
        }
    }

    if (slot == NULL) {
        goto done;
    }

    ngx_memcpy(slot->digest, claims->digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    slot->epoch = claims->epoch;
    slot->gen = claims->gen;
    slot->exp = claims->exp;
    slot->iat = claims->iat;
    slot->nbf = claims->nbf;
    slot->used = now;
    slot->checked_at = 0;
    slot->checked = 0;
    slot->size = (uint32_t) size;
    slot->len = (uint32_t) len;

    p = slot->data;

    for (i = 0; i < NGX_HTTP_PUNIT_SLOT_TEXTS; i++) {
        text = ngx_http_punit_slot_text(claims, i);
        slot->lens[i] = (uint32_t) text->len;

        if (text->len) {
            p = ngx_cpymem(p, text->data, text->len);
        }
    }

    bucket = ngx_http_punit_slot_bucket(cache, slot->digest);
    slot->next = *bucket;
    *bucket = slot;

    ngx_queue_insert_head(&cache->queue, &slot->queue);

    cache->size += size;
    cache->count++;

done:

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_punit_verdict_cache_set_checked(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, ngx_msec_t now)
{
    ngx_http_punit_slot_t  *slot;

    claims->checked_at = now;
    claims->checked = 1;

    ngx_shmtx_lock(&shpool->mutex);

    slot = ngx_http_punit_slot_find(cache, claims->digest);

    if (slot) {
        slot->checked_at = now;
        slot->checked = 1;
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_punit_verdict_cache_forget(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims)
{
    ngx_http_punit_slot_t  *slot;

    ngx_shmtx_lock(&shpool->mutex);

    slot = ngx_http_punit_slot_find(cache, claims->digest);

    if (slot) {
        ngx_http_punit_slot_free(cache, shpool, slot);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_int_t
ngx_http_punit_verdict_cache_find_refused(ngx_pool_t *pool,
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    const u_char *digest, time_t now, const char **reason)
{
    char                      *text;
    ngx_int_t                  rc;
    ngx_http_punit_refused_t  *slot;

    /* Another process may use the zone after a reload: the text is copied. */

    text = ngx_pnalloc(pool, sizeof(slot->reason));
    if (text == NULL) {
        return NGX_ERROR;
    }

    slot = ngx_http_punit_refused_slot(cache, digest);
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&shpool->mutex);

    if (slot->since
        && now >= slot->since
        && now - slot->since < NGX_HTTP_PUNIT_REFUSED_KEEP
        && ngx_memcmp(slot->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN) == 0)
    {
        ngx_memcpy(text, slot->reason, sizeof(slot->reason));
        *reason = text;
        cache->refused_hits++;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_http_punit_verdict_cache_keep_refused(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    const u_char *digest, time_t now, const char *reason)
{
    size_t                     len;
    ngx_http_punit_refused_t  *slot;

    slot = ngx_http_punit_refused_slot(cache, digest);
    len = ngx_min(ngx_strlen(reason), NGX_HTTP_PUNIT_REFUSED_REASON);

    ngx_shmtx_lock(&shpool->mutex);

    ngx_memcpy(slot->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    slot->since = now;
    ngx_memcpy(slot->reason, reason, len);
    slot->reason[len] = '\0';

    ngx_shmtx_unlock(&shpool->mutex);
}


static ngx_http_punit_refused_t *
ngx_http_punit_refused_slot(ngx_http_punit_verdict_cache_t *cache,
    const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return &cache->refused[hash % NGX_HTTP_PUNIT_REFUSED_SLOTS];
}


ngx_uint_t
ngx_http_punit_verdict_cache_evict_locked(
    ngx_http_punit_verdict_cache_t *cache, ngx_slab_pool_t *shpool,
    ngx_uint_t n)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;

    for (i = 0; i < n && !ngx_queue_empty(&cache->queue); i++) {
        q = ngx_queue_last(&cache->queue);

        ngx_http_punit_slot_free(cache, shpool,
                         ngx_queue_data(q, ngx_http_punit_slot_t, queue));

        cache->evicted++;
    }

    return i;
}


static ngx_http_punit_slot_t *
ngx_http_punit_slot_find(ngx_http_punit_verdict_cache_t *cache, u_char *digest)
{
    ngx_http_punit_slot_t  *slot;

    slot = *ngx_http_punit_slot_bucket(cache, digest);

    while (slot
           && ngx_memcmp(slot->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN) != 0)
    {
        slot = slot->next;
    }

    return slot;
}


static void
ngx_http_punit_slot_free(ngx_http_punit_verdict_cache_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_slot_t *slot)
{
    ngx_http_punit_slot_t  **p;

    p = ngx_http_punit_slot_bucket(cache, slot->digest);

    while (*p != slot) {
        p = &(*p)->next;
    }

    *p = slot->next;

    ngx_queue_remove(&slot->queue);

    cache->size -= slot->size;
    cache->count--;

    ngx_slab_free_locked(shpool, slot);
}


/* A digest is evenly distributed: any of its bits choose the bucket. */

static ngx_http_punit_slot_t **
ngx_http_punit_slot_bucket(ngx_http_punit_verdict_cache_t *cache,
    const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return &cache->buckets[hash & cache->mask];
}


/* What the slab allocator really takes: a power of two, or whole pages. */

static size_t
ngx_http_punit_slot_chunk(size_t size)
{
    size_t  chunk;

    if (size > ngx_pagesize / 2) {
        return ngx_align(size, ngx_pagesize);
    }

    for (chunk = 256; chunk < size; chunk *= 2) { /* void */ }

    return chunk;
}
