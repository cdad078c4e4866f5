/* Grid: a client of the unit's memcached servers, one a thread. Trouble is never an error of the
 * request: without memcached everything is served from PostgreSQL. Nor does it cost time: after a
 * failure all threads that share a server's health leave it alone for half a second. */
#ifndef PUNIT_LIB_GRID_GRID_H
#define PUNIT_LIB_GRID_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct punit_grid punit_grid_t;

typedef enum {
    PUNIT_GRID_OK,
    PUNIT_GRID_MISS,    /* read: not there; add: already there */
    PUNIT_GRID_TROUBLE, /* no answer, or backing off */
} punit_grid_rc_t;

/* A client of `servers`: "unix:/path" or "host:port", separated by spaces. Without servers ("") all
 * calls give trouble. Keys are spread as in the NGINX module (libmemcached's weighted ketama). The
 * client shares the servers' health with `other`, a client of the same servers, which may be NULL.
 * Clients may be destroyed in any order. NULL and a log line if the text is malformed. */
punit_grid_t *punit_grid_create(const char *servers, punit_grid_t *other);
void          punit_grid_destroy(punit_grid_t *grid);

/* exptime as memcached takes it: 0 = never, up to 30 days = seconds from now, else an epoch time.
 */
punit_grid_rc_t punit_grid_set(punit_grid_t *grid, const char *key, const void *value, size_t len,
                               time_t exptime, uint32_t flags);
punit_grid_rc_t punit_grid_add(punit_grid_t *grid, const char *key, const void *value, size_t len,
                               time_t exptime, uint32_t flags);

/* Writes a service's generation to every server, for 3 s from now. It never overwrites a newer one.
 * OK: all servers have it. MISS: one has a newer. TROUBLE: one does not answer, and the others were
 * written. */
punit_grid_rc_t punit_grid_generation(punit_grid_t *grid, const char *service, uint64_t generation);

/* Generation as a document's client flags: mod 2^32, and 0, which is unused, becomes 1. */
uint32_t punit_grid_flags(uint64_t generation);

/* A service calls this before it answers with data of this generation. It raises that of every
 * server, so that no client reads an older text afterwards. MISS: a server or another thread knows
 * a newer one. */
punit_grid_rc_t punit_grid_answered(punit_grid_t *grid, const char *service, uint64_t generation);

/* The same, and stores a document for 1 h as the module reads it: a first line `"<etag>"
 * <content-type>`, then the body. MISS: there is a newer generation, and the document is not
 * stored. */
punit_grid_rc_t punit_grid_store(punit_grid_t *grid, const char *service, const char *key,
                                 uint64_t generation, const char *etag, const char *type,
                                 const char *body, size_t len);

/* Whether every server answers: for /health. */
bool punit_grid_alive(punit_grid_t *grid);

#endif
