#include "auth/password/argon.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOWER_PRIORITY 5 /* nice: other requests come first */

typedef struct job job_t;

struct job {
    job_t         *next;
    const char    *hash; /* to verify against; NULL: make one */
    char          *out;
    const char    *password;
    size_t         len;
    argon_rc_t     rc;
    bool           done;
    pthread_cond_t finished;
};

struct argon {
    pthread_mutex_t lock;
    pthread_cond_t  wanted;
    job_t          *head;
    job_t         **tail;
    unsigned        waiting;
    unsigned        limit;
    unsigned        nthreads;
    bool            stop;
    char            nobody[ARGON_STR];
    pthread_t       thread[];
};


static argon_rc_t
hash_password(char *out, const char *password, size_t len)
{
    return crypto_pwhash_str_alg(out, password, len, ARGON_OPS, ARGON_MEMORY,
                                 crypto_pwhash_ALG_ARGON2ID13)
                   == 0
               ? ARGON_OK
               : ARGON_FAILED;
}


static void
work(job_t *j)
{
    if (j->hash == NULL) {
        j->rc = hash_password(j->out, j->password, j->len);
    } else {
        /* Only errno tells a mismatch from a lack of memory. */
        errno = 0;
        if (crypto_pwhash_str_verify(j->hash, j->password, j->len) == 0) {
            j->rc = ARGON_OK;
        } else {
            j->rc = errno == EINVAL ? ARGON_MISMATCH : ARGON_FAILED;
        }
    }
}


static void *
serve(void *data)
{
    argon_t *pool = data;

    /* On Linux the nice value belongs to the thread. A failure does no harm. */
    (void) setpriority(PRIO_PROCESS, (id_t) syscall(SYS_gettid), LOWER_PRIORITY);

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->head == NULL && !pool->stop) {
            pthread_cond_wait(&pool->wanted, &pool->lock);
        }

        if (pool->head == NULL) {
            break;
        }

        job_t *j = pool->head;
        pool->head = j->next;
        if (pool->head == NULL) {
            pool->tail = &pool->head;
        }

        pool->waiting--;
        pthread_mutex_unlock(&pool->lock);

        work(j);

        pthread_mutex_lock(&pool->lock);
        j->done = true;
        pthread_cond_signal(&j->finished);
    }

    pthread_mutex_unlock(&pool->lock);
    return NULL;
}


argon_t *
argon_start(unsigned threads, unsigned waiting)
{
    if (sodium_init() < 0 || threads == 0) {
        return NULL;
    }

    argon_t *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->thread[0]));
    if (pool == NULL) {
        return NULL;
    }

    pool->limit = waiting;
    pool->tail = &pool->head;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wanted, NULL);

    /* A name that does not exist is verified against this hash. */
    unsigned char secret[32];
    randombytes_buf(secret, sizeof(secret));
    if (hash_password(pool->nobody, (char *) secret, sizeof(secret)) != ARGON_OK) {
        argon_stop(pool);
        return NULL;
    }

    for (; pool->nthreads < threads; pool->nthreads++) {
        if (pthread_create(&pool->thread[pool->nthreads], NULL, serve, pool) != 0) {
            argon_stop(pool);
            return NULL;
        }
    }

    return pool;
}


void
argon_stop(argon_t *pool)
{
    if (pool == NULL) {
        return;
    }

    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->nthreads; i++) {
        pthread_join(pool->thread[i], NULL);
    }

    pthread_cond_destroy(&pool->wanted);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}


static argon_rc_t
submit(argon_t *pool, job_t *j)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->stop || pool->waiting >= pool->limit) {
        pthread_mutex_unlock(&pool->lock);
        return ARGON_BUSY;
    }

    pthread_cond_init(&j->finished, NULL);
    *pool->tail = j;
    pool->tail = &j->next;
    pool->waiting++;
    pthread_cond_signal(&pool->wanted);
    while (!j->done) {
        pthread_cond_wait(&j->finished, &pool->lock);
    }

    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&j->finished);
    return j->rc;
}


argon_rc_t
argon_hash(argon_t *pool, const char *password, size_t len, char out[ARGON_STR])
{
    job_t j = { .out = out, .password = password, .len = len };

    return submit(pool, &j);
}


argon_rc_t
argon_verify(argon_t *pool, const char *hash, const char *password, size_t len)
{
    job_t j = { .hash = hash != NULL ? hash : pool->nobody, .password = password, .len = len };

    argon_rc_t rc = submit(pool, &j);
    return hash == NULL && rc == ARGON_OK ? ARGON_MISMATCH : rc;
}


bool
argon_outdated(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, ARGON_OPS, ARGON_MEMORY) != 0;
}
