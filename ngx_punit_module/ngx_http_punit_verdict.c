
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_signature.h>
#include <ngx_http_punit_verdict.h>
#include <openssl/sha.h>


/* what a good token of ours takes, for the number of buckets */

#define NGX_HTTP_PUNIT_SLOT_TYPICAL  1024

/* an insertion may push out that many, so that a full zone costs one request
   a bounded time */

#define NGX_HTTP_PUNIT_VERDICT_EVICT  16


/* the strings of the claims, stored one after the other */

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
    ngx_http_punit_slot_t          *next;      /* in the bucket */
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


static void ngx_http_punit_verdict_digest(u_char *digest,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token);
static ngx_uint_t ngx_http_punit_verdict_same(ngx_http_punit_memo_t *memo,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token);
static void ngx_http_punit_verdict_remember(ngx_http_punit_memo_t *memo,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token, u_char *digest);
static ngx_int_t ngx_http_punit_verdict_lookup(ngx_pool_t *pool,
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, u_char *digest, time_t now,
    time_t leeway);
static void ngx_http_punit_verdict_store(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, time_t now);
static ngx_int_t ngx_http_punit_verdict_find_key(ngx_http_punit_keys_t *keys,
    ngx_http_punit_jws_t *jws, ngx_str_t **kid, const char **reason);
static ngx_http_punit_slot_t *ngx_http_punit_slot_find(
    ngx_http_punit_verdicts_t *cache, u_char *digest);
static void ngx_http_punit_slot_free(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_slot_t *slot);
static ngx_http_punit_slot_t **ngx_http_punit_slot_bucket(
    ngx_http_punit_verdicts_t *cache, const u_char *digest);
static size_t ngx_http_punit_slot_chunk(size_t size);


ngx_http_punit_verdicts_t *
ngx_http_punit_verdicts_init(ngx_slab_pool_t *shpool, size_t limit)
{
    ngx_uint_t                  n;
    ngx_http_punit_verdicts_t  *cache;

    cache = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_verdicts_t));
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


ngx_int_t
ngx_http_punit_verdict(ngx_pool_t *pool, ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_memo_t *memo,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token, ngx_http_punit_claims_t *claims, const char **reason)
{
    u_char                *buf, digest[NGX_HTTP_PUNIT_DIGEST_LEN];
    time_t                 now;
    ngx_int_t              rc;
    ngx_str_t             *kid;
    ngx_uint_t             same;
    ngx_http_punit_jws_t   jws;

    *reason = "malformed";

    if (token->len == 0 || token->len > NGX_HTTP_PUNIT_TOKEN_MAX) {
        return NGX_DECLINED;
    }

    now = ngx_time();

    same = ngx_http_punit_verdict_same(memo, keys, policy, token);

    if (same) {
        ngx_memcpy(digest, memo->digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    } else {
        ngx_http_punit_verdict_digest(digest, keys, policy, token);
    }

    if (cache) {
        rc = ngx_http_punit_verdict_lookup(pool, cache, shpool, claims, digest,
                                           now, policy->leeway);

        if (rc == NGX_OK && !same) {
            /* a good one that comes again, so it may come once more */
            ngx_http_punit_verdict_remember(memo, keys, policy, token, digest);
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    buf = ngx_pnalloc(pool, 2 * token->len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_punit_jws_parse(&jws, token, buf, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_punit_verdict_find_key(keys, &jws, &kid, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_punit_claims_parse(pool, claims, &jws.payload, kid, policy,
                                     now, reason);

    if (rc != NGX_OK) {
        /* claims of an expired token, say, are nobody's */
        ngx_memzero(claims, sizeof(ngx_http_punit_claims_t));
        return rc;
    }

    ngx_memcpy(claims->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);

    if (cache) {
        ngx_http_punit_verdict_store(cache, shpool, claims, now);
    }

    return NGX_OK;
}


/* not by EVP: what it does before it hashes takes longer than the hash */

static void
ngx_http_punit_verdict_digest(u_char *digest, ngx_http_punit_keys_t *keys,
    ngx_http_punit_policy_t *policy, ngx_str_t *token)
{
    SHA256_CTX  sha;

    /* two digests of fixed length, so the token needs no length before it */

    SHA256_Init(&sha);
    SHA256_Update(&sha, policy->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    SHA256_Update(&sha, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    SHA256_Update(&sha, token->data, token->len);
    SHA256_Final(digest, &sha);
}


static ngx_uint_t
ngx_http_punit_verdict_same(ngx_http_punit_memo_t *memo,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token)
{
    return memo
           && memo->token.len == token->len
           && ngx_memcmp(memo->token.data, token->data, token->len) == 0
           && ngx_memcmp(memo->policy, policy->digest,
                         NGX_HTTP_PUNIT_DIGEST_LEN)
              == 0
           && ngx_memcmp(memo->keys, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN)
              == 0;
}


static void
ngx_http_punit_verdict_remember(ngx_http_punit_memo_t *memo,
    ngx_http_punit_keys_t *keys, ngx_http_punit_policy_t *policy,
    ngx_str_t *token, u_char *digest)
{
    if (memo == NULL) {
        return;
    }

    if (token->len > memo->room) {

        /* at least twice as much, as the pool does not take back the old */

        memo->token.len = 0;
        memo->room = ngx_max(token->len, 2 * memo->room);

        memo->token.data = ngx_pnalloc(memo->pool, memo->room);
        if (memo->token.data == NULL) {
            memo->room = 0;
            return;
        }
    }

    memo->token.len = token->len;
    ngx_memcpy(memo->token.data, token->data, token->len);
    ngx_memcpy(memo->digest, digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    ngx_memcpy(memo->policy, policy->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    ngx_memcpy(memo->keys, keys->digest, NGX_HTTP_PUNIT_DIGEST_LEN);
}


/* NGX_OK, NGX_DECLINED: not there, NGX_ERROR */

static ngx_int_t
ngx_http_punit_verdict_lookup(ngx_pool_t *pool,
    ngx_http_punit_verdicts_t *cache, ngx_slab_pool_t *shpool,
    ngx_http_punit_claims_t *claims, u_char *digest, time_t now,
    time_t leeway)
{
    u_char                 *p;
    ngx_str_t              *text;
    ngx_uint_t              i;
    ngx_http_punit_slot_t  *slot;

    ngx_shmtx_lock(&shpool->mutex);

    slot = ngx_http_punit_slot_find(cache, digest);

    if (slot && now >= slot->exp) {
        ngx_http_punit_slot_free(cache, shpool, slot);
        slot = NULL;
    }

    /* the clock may have been set back since */

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

    /* order by seconds is enough, and spares the others' cache lines */

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


static void
ngx_http_punit_verdict_store(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_http_punit_claims_t *claims, time_t now)
{
    size_t                   len, size;
    u_char                  *p;
    ngx_str_t               *text;
    ngx_uint_t               i, n;
    ngx_http_punit_slot_t   *slot, **bucket;

    /* still accepted by leeway, but never kept past exp */

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
        /* another worker was faster */
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

        if (ngx_http_punit_verdicts_evict_locked(cache, shpool, 1) == 0) {
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


/*
 * A known kid names the one key to try.  An unknown or absent one leaves the
 * keys of the token's algorithm, few of them: each costs a signature check.
 */

static ngx_int_t
ngx_http_punit_verdict_find_key(ngx_http_punit_keys_t *keys,
    ngx_http_punit_jws_t *jws, ngx_str_t **kid, const char **reason)
{
    ngx_uint_t             i, tries;
    ngx_http_punit_key_t  *key;

    key = keys->keys.elts;

    if (jws->kid.len) {

        for (i = 0; i < keys->keys.nelts; i++) {

            if (key[i].kid.len != jws->kid.len
                || ngx_memcmp(key[i].kid.data, jws->kid.data, jws->kid.len)
                   != 0)
            {
                continue;
            }

            *kid = &key[i].kid;

            if (key[i].alg != jws->alg) {
                *reason = "algorithm";
                return NGX_DECLINED;
            }

            *reason = "signature";
            return ngx_http_punit_signature_check(&key[i], jws);
        }
    }

    tries = 0;
    *reason = "key";

    for (i = 0; i < keys->keys.nelts; i++) {

        if (key[i].alg != jws->alg) {
            continue;
        }

        if (tries++ == NGX_HTTP_PUNIT_VERDICT_TRIES) {
            break;
        }

        if (ngx_http_punit_signature_check(&key[i], jws) == NGX_OK) {
            *kid = &key[i].kid;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_punit_verdict_set_checked(ngx_http_punit_verdicts_t *cache,
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
ngx_http_punit_verdict_forget(ngx_http_punit_verdicts_t *cache,
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


ngx_uint_t
ngx_http_punit_verdicts_evict_locked(ngx_http_punit_verdicts_t *cache,
    ngx_slab_pool_t *shpool, ngx_uint_t n)
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
ngx_http_punit_slot_find(ngx_http_punit_verdicts_t *cache, u_char *digest)
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
ngx_http_punit_slot_free(ngx_http_punit_verdicts_t *cache,
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


/* a digest is evenly spread: any of its bits choose the bucket */

static ngx_http_punit_slot_t **
ngx_http_punit_slot_bucket(ngx_http_punit_verdicts_t *cache,
    const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return &cache->buckets[hash & cache->mask];
}


/* what the slab allocator really takes: a power of two, or whole pages */

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
