#include "auth/argon.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOWER_PRIORITY 5 /* nice: other requests go first */

typedef struct job {
    struct job    *next;
    const char    *hash; /* verify: against this; NULL: make one */
    char          *out;
    const char    *password;
    size_t         len;
    punit_argon_rc rc;
    bool           done;
    pthread_cond_t finished;
} job;

struct punit_argon {
    pthread_mutex_t lock;
    pthread_cond_t  wanted;
    job            *head;
    job           **tail;
    unsigned        waiting;
    unsigned        limit;
    unsigned        nthreads;
    bool            stop;
    char            nobody[PUNIT_ARGON_STR];
    pthread_t       thread[];
};


static punit_argon_rc
hash_password(char *out, const char *password, size_t len)
{
    return crypto_pwhash_str_alg(out, password, len, PUNIT_ARGON_OPS, PUNIT_ARGON_MEMORY,
                                 crypto_pwhash_ALG_ARGON2ID13)
                   == 0
               ? PUNIT_ARGON_OK
               : PUNIT_ARGON_FAILED;
}


static void
work(job *j)
{
    if (j->hash == NULL) {
        j->rc = hash_password(j->out, j->password, j->len);
    } else {
        /* libsodium tells a mismatch from lack of memory by errno alone */
        errno = 0;
        if (crypto_pwhash_str_verify(j->hash, j->password, j->len) == 0) {
            j->rc = PUNIT_ARGON_OK;
        } else {
            j->rc = errno == EINVAL ? PUNIT_ARGON_MISMATCH : PUNIT_ARGON_FAILED;
        }
    }
}


static void *
serve(void *data)
{
    punit_argon *pool = data;

    /* Linux: the nice value belongs to the thread; failing is harmless */
    (void) setpriority(PRIO_PROCESS, (id_t) syscall(SYS_gettid), LOWER_PRIORITY);

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->head == NULL && !pool->stop) {
            pthread_cond_wait(&pool->wanted, &pool->lock);
        }
        if (pool->head == NULL) {
            break;
        }
        job *j = pool->head;
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


punit_argon *
punit_argon_start(unsigned threads, unsigned waiting)
{
    if (sodium_init() < 0 || threads == 0) {
        return NULL;
    }
    punit_argon *pool = calloc(1, sizeof *pool + threads * sizeof pool->thread[0]);
    if (pool == NULL) {
        return NULL;
    }
    pool->limit = waiting;
    pool->tail = &pool->head;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wanted, NULL);

    /* what a name that does not exist is verified against */
    unsigned char secret[32];
    randombytes_buf(secret, sizeof secret);
    if (hash_password(pool->nobody, (char *) secret, sizeof secret) != PUNIT_ARGON_OK) {
        punit_argon_stop(pool);
        return NULL;
    }

    for (; pool->nthreads < threads; pool->nthreads++) {
        if (pthread_create(&pool->thread[pool->nthreads], NULL, serve, pool) != 0) {
            punit_argon_stop(pool);
            return NULL;
        }
    }
    return pool;
}


void
punit_argon_stop(punit_argon *pool)
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


static punit_argon_rc
submit(punit_argon *pool, job *j)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->stop || pool->waiting >= pool->limit) {
        pthread_mutex_unlock(&pool->lock);
        return PUNIT_ARGON_BUSY;
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


punit_argon_rc
punit_argon_hash(punit_argon *pool, const char *password, size_t len, char out[PUNIT_ARGON_STR])
{
    job j = { .out = out, .password = password, .len = len };

    return submit(pool, &j);
}


punit_argon_rc
punit_argon_verify(punit_argon *pool, const char *hash, const char *password, size_t len)
{
    job j = { .hash = hash != NULL ? hash : pool->nobody, .password = password, .len = len };

    punit_argon_rc rc = submit(pool, &j);
    return hash == NULL && rc == PUNIT_ARGON_OK ? PUNIT_ARGON_MISMATCH : rc;
}


bool
punit_argon_outdated(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, PUNIT_ARGON_OPS, PUNIT_ARGON_MEMORY) != 0;
}
