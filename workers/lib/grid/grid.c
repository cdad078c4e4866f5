#include "lib/grid/grid.h"

#include <libmemcached/memcached.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

#define TIMEOUT_MS         50 /* a healthy memcached on this machine answers in 0.05 */
#define BACKOFF_MS         500
#define GENERATION_SECONDS 3 /* a server that is cut off misses rather than lies */
#define DOCUMENT_SECONDS   3600
#define RAISE_TRIES        4
#define NEWEST_MS          15000 /* longer than any request; a restored database begins lower */

/* What the threads of a process know of the servers together, and of what they put there. */
typedef struct {
    atomic_int      users;
    pthread_mutex_t lock;
    uint64_t        newest; /* generation that one of them has read */
    int64_t         newest_at;
    _Atomic int64_t retry_at[];
} health_t;

/* Each server has a handle of its own, made anew after a failure: the generation must reach every
 * one, and libmemcached's own ideas of dead servers stay out of it. `ring` only says which server
 * has a key. */
struct punit_grid {
    memcached_st  *ring;
    size_t         n;
    char         **names;
    memcached_st **each;
    health_t      *health;
};


static bool
add_server(memcached_st *m, const char *name)
{
    if (strncmp(name, "unix:", 5) == 0) {
        return memcached_success(memcached_server_add_unix_socket(m, name + 5));
    }

    const char *colon = strrchr(name, ':');
    char        host[256];

    if (colon == NULL || colon == name || (size_t) (colon - name) >= sizeof(host)) {
        return false;
    }

    long port = strtol(colon + 1, NULL, 10);

    snprintf(host, sizeof(host), "%.*s", (int) (colon - name), name);

    return port > 0 && port < 65536
           && memcached_success(memcached_server_add(m, host, (in_port_t) port));
}


static memcached_st *
open_server(const char *name)
{
    static const struct {
        memcached_behavior_t behavior;
        uint64_t             value;
    } behaviors[] = {
        { MEMCACHED_BEHAVIOR_TCP_NODELAY, 1 },
        { MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, TIMEOUT_MS },
        { MEMCACHED_BEHAVIOR_POLL_TIMEOUT, TIMEOUT_MS },
        { MEMCACHED_BEHAVIOR_SND_TIMEOUT, TIMEOUT_MS * 1000 },
        { MEMCACHED_BEHAVIOR_RCV_TIMEOUT, TIMEOUT_MS * 1000 },
        { MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1 },
    };
    memcached_st *m = memcached_create(NULL);

    if (m == NULL) {
        return NULL;
    }

    for (size_t i = 0; i < sizeof(behaviors) / sizeof(behaviors[0]); i++) {
        memcached_behavior_set(m, behaviors[i].behavior, behaviors[i].value);
    }

    if (!add_server(m, name)) {
        memcached_free(m);
        return NULL;
    }

    return m;
}


static health_t *
share_health(size_t n, punit_grid_t *other)
{
    health_t *health =
        other != NULL ? other->health : calloc(1, sizeof(health_t) + n * sizeof(_Atomic int64_t));

    if (health != NULL && other == NULL) {
        pthread_mutex_init(&health->lock, NULL);
    }

    if (health != NULL) {
        atomic_fetch_add(&health->users, 1);
    }

    return health;
}


static bool
add_name(punit_grid_t *grid, const char *text, size_t len)
{
    char **names = realloc(grid->names, (grid->n + 1) * sizeof(char *));

    if (names == NULL) {
        return false;
    }

    grid->names = names;
    names[grid->n] = strndup(text, len);

    return names[grid->n] != NULL && add_server(grid->ring, names[grid->n++]);
}


punit_grid_t *
punit_grid_create(const char *servers, punit_grid_t *other)
{
    punit_grid_t *grid = calloc(1, sizeof(punit_grid_t));

    if (grid == NULL || (grid->ring = memcached_create(NULL)) == NULL) {
        free(grid);
        return NULL;
    }

    memcached_behavior_set(grid->ring, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);

    for (const char *p = servers + strspn(servers, " "); *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");

        if (!add_name(grid, p, len)) {
            char quoted[256];

            punit_log(PUNIT_LOG_ERROR, "configuration",
                      "grid=%s expected=\"unix:/path or host:port, separated by spaces\"",
                      punit_log_quote(quoted, sizeof(quoted), servers));
            punit_grid_destroy(grid);
            return NULL;
        }

        p += len;
    }

    grid->each = calloc(grid->n + 1, sizeof(memcached_st *));
    grid->health = share_health(grid->n, other);

    if (grid->each == NULL || grid->health == NULL) {
        punit_grid_destroy(grid);
        return NULL;
    }

    return grid;
}


void
punit_grid_destroy(punit_grid_t *grid)
{
    if (grid == NULL) {
        return;
    }

    for (size_t i = 0; i < grid->n; i++) {
        if (grid->each != NULL && grid->each[i] != NULL) {
            memcached_free(grid->each[i]);
        }

        free(grid->names[i]);
    }

    if (grid->health != NULL && atomic_fetch_sub(&grid->health->users, 1) == 1) {
        pthread_mutex_destroy(&grid->health->lock);
        free(grid->health);
    }

    memcached_free(grid->ring);
    free(grid->names);
    free(grid->each);
    free(grid);
}


/* The handle of server i, NULL while it is left alone. */
static memcached_st *
server(punit_grid_t *grid, size_t i)
{
    if (punit_clock_ms() < atomic_load_explicit(&grid->health->retry_at[i], memory_order_relaxed)) {
        return NULL;
    }

    if (grid->each[i] == NULL) {
        grid->each[i] = open_server(grid->names[i]);
    }

    return grid->each[i];
}


/* What a result means. A broken server is left alone for a while. */
static punit_grid_rc_t
judge(punit_grid_t *grid, size_t i, memcached_return_t rc)
{
    switch (rc) {
    case MEMCACHED_SUCCESS:
    case MEMCACHED_STORED:
    case MEMCACHED_DELETED:
    case MEMCACHED_END:
        return PUNIT_GRID_OK;

    /* It answers, but does not have it or will not take it (too large, no memory). */
    case MEMCACHED_NOTFOUND:
    case MEMCACHED_NOTSTORED:
    case MEMCACHED_DATA_EXISTS:
    case MEMCACHED_E2BIG:
    case MEMCACHED_SERVER_ERROR:
    case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
        return PUNIT_GRID_MISS;

    default:
        break;
    }

    memcached_free(grid->each[i]);
    grid->each[i] = NULL;
    atomic_store_explicit(&grid->health->retry_at[i], punit_clock_ms() + BACKOFF_MS,
                          memory_order_relaxed);
    return PUNIT_GRID_TROUBLE;
}


static memcached_st *
server_of(punit_grid_t *grid, const char *key, size_t *i)
{
    if (grid->n == 0) {
        return NULL;
    }

    *i = memcached_generate_hash(grid->ring, key, strlen(key));
    return server(grid, *i);
}


typedef memcached_return_t (*write_pt)(memcached_st *m, const char *key, size_t key_len,
                                       const char *value, size_t len, time_t exptime,
                                       uint32_t flags);


static punit_grid_rc_t
write_value(punit_grid_t *grid, write_pt how, const char *key, const void *value, size_t len,
            time_t exptime, uint32_t flags)
{
    size_t        i;
    memcached_st *m = server_of(grid, key, &i);

    if (m == NULL) {
        return PUNIT_GRID_TROUBLE;
    }

    return judge(grid, i, how(m, key, strlen(key), value, len, exptime, flags));
}


punit_grid_rc_t
punit_grid_set(punit_grid_t *grid, const char *key, const void *value, size_t len, time_t exptime,
               uint32_t flags)
{
    return write_value(grid, memcached_set, key, value, len, exptime, flags);
}


punit_grid_rc_t
punit_grid_add(punit_grid_t *grid, const char *key, const void *value, size_t len, time_t exptime,
               uint32_t flags)
{
    return write_value(grid, memcached_add, key, value, len, exptime, flags);
}


uint32_t
punit_grid_flags(uint64_t generation)
{
    uint32_t flags = (uint32_t) generation;

    return flags != 0 ? flags : 1;
}


/* Reads a key of one server with its cas unique. MISS: not there. */
static punit_grid_rc_t
read_generation(punit_grid_t *grid, size_t i, memcached_st *m, const char *key,
                uint64_t *generation, uint64_t *cas)
{
    const char         *keys[] = { key };
    size_t              lengths[] = { strlen(key) };
    memcached_return_t  rc = memcached_mget(m, keys, lengths, 1);
    punit_grid_rc_t     judged = judge(grid, i, rc);
    memcached_result_st result;

    if (judged != PUNIT_GRID_OK) {
        return judged;
    }

    memcached_result_create(m, &result);

    bool found = false;

    while (memcached_fetch_result(m, &result, &rc) != NULL) {
        char   text[32];
        size_t len = memcached_result_length(&result);

        if (len < sizeof(text)) {
            memcpy(text, memcached_result_value(&result), len);
            text[len] = '\0';
            *generation = strtoull(text, NULL, 10);
            *cas = memcached_result_cas(&result);
            found = true;
        }
    }

    memcached_result_free(&result);
    judged = judge(grid, i, rc);

    return judged == PUNIT_GRID_OK && !found ? PUNIT_GRID_MISS : judged;
}


/* Brings one server to the generation. refresh: also renews the life of one that is there. */
static punit_grid_rc_t
raise_server(punit_grid_t *grid, size_t i, const char *key, uint64_t generation, bool refresh)
{
    char   text[24];
    size_t len = (size_t) snprintf(text, sizeof(text), "%llu", (unsigned long long) generation);

    for (int try = 0; try < RAISE_TRIES; try++) {
        memcached_st      *m = server(grid, i);
        uint64_t           known = 0, cas = 0;
        memcached_return_t rc;

        if (m == NULL) {
            return PUNIT_GRID_TROUBLE;
        }

        punit_grid_rc_t found = read_generation(grid, i, m, key, &known, &cas);

        if (found == PUNIT_GRID_TROUBLE) {
            return found;
        }

        if (found == PUNIT_GRID_OK && known > generation) {
            return PUNIT_GRID_MISS;
        }

        if (found == PUNIT_GRID_OK && known == generation && !refresh) {
            return PUNIT_GRID_OK;
        }

        rc = found == PUNIT_GRID_OK
                 ? memcached_cas(m, key, strlen(key), text, len, GENERATION_SECONDS, 0, cas)
                 : memcached_add(m, key, strlen(key), text, len, GENERATION_SECONDS, 0);

        punit_grid_rc_t written = judge(grid, i, rc);

        /* MISS: another client wrote between the read and the write. */
        if (written != PUNIT_GRID_MISS) {
            return written;
        }
    }

    return PUNIT_GRID_TROUBLE;
}


static punit_grid_rc_t
raise_all(punit_grid_t *grid, const char *service, uint64_t generation, bool refresh)
{
    char            key[80];
    punit_grid_rc_t worst = grid->n > 0 ? PUNIT_GRID_OK : PUNIT_GRID_TROUBLE;

    snprintf(key, sizeof(key), "punit:gen:%s", service);

    for (size_t i = 0; i < grid->n; i++) {
        punit_grid_rc_t rc = raise_server(grid, i, key, generation, refresh);

        worst = rc > worst ? rc : worst;
    }

    return worst;
}


punit_grid_rc_t
punit_grid_generation(punit_grid_t *grid, const char *service, uint64_t generation)
{
    return raise_all(grid, service, generation, true);
}


/* The servers may have been flushed since a newer generation was answered. Then only this process,
 * which makes all answers of the service, knows that this one is old. */
static bool
is_newest(health_t *health, uint64_t generation)
{
    int64_t now = punit_clock_ms();

    pthread_mutex_lock(&health->lock);

    bool newest = generation >= health->newest || now - health->newest_at > NEWEST_MS;

    if (newest) {
        health->newest = generation;
        health->newest_at = now;
    }

    pthread_mutex_unlock(&health->lock);

    return newest;
}


punit_grid_rc_t
punit_grid_answered(punit_grid_t *grid, const char *service, uint64_t generation)
{
    return is_newest(grid->health, generation) ? raise_all(grid, service, generation, false)
                                               : PUNIT_GRID_MISS;
}


punit_grid_rc_t
punit_grid_store(punit_grid_t *grid, const char *service, const char *key, uint64_t generation,
                 const char *etag, const char *type, const char *body, size_t len)
{
    if (grid->n == 0) {
        return PUNIT_GRID_TROUBLE;
    }

    if (punit_grid_answered(grid, service, generation) == PUNIT_GRID_MISS) {
        return PUNIT_GRID_MISS;
    }

    size_t head = strlen(etag) + 1 + strlen(type) + 1;
    char  *value = malloc(head + len + 1);

    if (value == NULL) {
        return PUNIT_GRID_TROUBLE;
    }

    snprintf(value, head + 1, "%s %s\n", etag, type);
    memcpy(value + head, body, len);

    punit_grid_rc_t rc = punit_grid_set(grid, key, value, head + len, DOCUMENT_SECONDS,
                                        punit_grid_flags(generation));

    free(value);
    return rc;
}


bool
punit_grid_alive(punit_grid_t *grid)
{
    static const char key[] = "punit:health";

    for (size_t i = 0; i < grid->n; i++) {
        memcached_st *m = server(grid, i);

        if (m == NULL
            || judge(grid, i, memcached_exist(m, key, sizeof(key) - 1)) == PUNIT_GRID_TROUBLE) {
            return false;
        }
    }

    return true;
}
