#include "nginx_shim.h"

#include <ngx_md5.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shim_chunk {
    struct shim_chunk *next;
    max_align_t        data[];
};

struct shim_slab_chunk {
    size_t      size;
    max_align_t data[];
};

ngx_uint_t           ngx_pagesize = 4096;
static ngx_time_t    shim_now;
volatile ngx_time_t *ngx_cached_time = &shim_now;
volatile ngx_msec_t  ngx_current_msec;

static size_t slab_limit, slab_used;


ngx_pool_t *
shim_pool(void)
{
    return calloc(1, sizeof(ngx_pool_t));
}


void
shim_pool_free(ngx_pool_t *pool)
{
    struct shim_chunk *c, *next;

    for (c = (struct shim_chunk *) pool->large; c; c = next) {
        next = c->next;
        free(c);
    }
    free(pool);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    struct shim_chunk *c = malloc(sizeof(*c) + size);

    if (c == NULL) {
        return NULL;
    }
    c->next = (struct shim_chunk *) pool->large;
    pool->large = (ngx_pool_large_t *) c;
    return c->data;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void *p = ngx_palloc(pool, size);

    return p ? memset(p, 0, size) : NULL;
}


u_char *
ngx_pstrdup(ngx_pool_t *pool, ngx_str_t *src)
{
    u_char *p = ngx_palloc(pool, src->len);

    if (p && src->len) {
        memcpy(p, src->data, src->len);
    }
    return p;
}


void *
ngx_array_push(ngx_array_t *a)
{
    void *elts;

    if (a->nelts == a->nalloc) {
        elts = ngx_palloc(a->pool, 2 * a->nalloc * a->size);
        if (elts == NULL) {
            return NULL;
        }
        memcpy(elts, a->elts, a->nelts * a->size);
        a->elts = elts;
        a->nalloc *= 2;
    }
    return (u_char *) a->elts + a->size * a->nelts++;
}


ngx_slab_pool_t *
shim_slab(size_t limit)
{
    slab_limit = limit;
    slab_used = 0;
    return calloc(1, sizeof(ngx_slab_pool_t));
}


size_t
shim_slab_used(void)
{
    return slab_used;
}


void
shim_slab_free(ngx_slab_pool_t *shpool)
{
    free(shpool);
}


void *
ngx_slab_alloc_locked(ngx_slab_pool_t *shpool, size_t size)
{
    struct shim_slab_chunk *c;

    if (slab_used + size > slab_limit) {
        return NULL;
    }
    c = malloc(sizeof(*c) + size);
    if (c == NULL) {
        return NULL;
    }
    c->size = size;
    slab_used += size;
    return c->data;
}


void *
ngx_slab_calloc(ngx_slab_pool_t *shpool, size_t size)
{
    void *p = ngx_slab_alloc_locked(shpool, size);

    return p ? memset(p, 0, size) : NULL;
}


void
ngx_slab_free_locked(ngx_slab_pool_t *shpool, void *p)
{
    struct shim_slab_chunk *c =
        (struct shim_slab_chunk *) ((u_char *) p - offsetof(struct shim_slab_chunk, data));

    slab_used -= c->size;
    free(c);
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
}


void
shim_time(time_t now)
{
    shim_now.sec = now;
}


/* nginx has its own MD5, which is not in the packaged headers */

void
ngx_md5_init(ngx_md5_t *ctx)
{
    *(EVP_MD_CTX **) ctx->buffer = EVP_MD_CTX_new();
    EVP_DigestInit_ex(*(EVP_MD_CTX **) ctx->buffer, EVP_md5(), NULL);
}


void
ngx_md5_update(ngx_md5_t *ctx, const void *data, size_t size)
{
    EVP_DigestUpdate(*(EVP_MD_CTX **) ctx->buffer, data, size);
}


void
ngx_md5_final(u_char result[16], ngx_md5_t *ctx)
{
    EVP_DigestFinal_ex(*(EVP_MD_CTX **) ctx->buffer, result, NULL);
    EVP_MD_CTX_free(*(EVP_MD_CTX **) ctx->buffer);
}


/* as nginx's own: only ASCII, and no further than a NUL in both */
ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    for (; n; n--, s1++, s2++) {
        ngx_int_t a = *s1 >= 'A' && *s1 <= 'Z' ? *s1 | 0x20 : *s1;
        ngx_int_t b = *s2 >= 'A' && *s2 <= 'Z' ? *s2 | 0x20 : *s2;

        if (a != b) {
            return a - b;
        }
        if (a == 0) {
            return 0;
        }
    }
    return 0;
}


ngx_str_t
shim_str(const char *s)
{
    ngx_str_t str = { strlen(s), (u_char *) s };

    return str;
}


char *
shim_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    long  size;

    if (f == NULL) {
        return NULL;
    }
    if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0) {
        rewind(f);
        text = malloc(size + 1);
        if (text) {
            *len = fread(text, 1, size, f);
            text[*len] = '\0';
        }
    }
    fclose(f);
    return text;
}
