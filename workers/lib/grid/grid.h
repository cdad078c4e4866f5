/* Grid: a client of the unit's memcached servers, one a thread. Trouble is never an error of the
 * request: without memcached everything is served from PostgreSQL, and without delay, since after a
 * failure a server is left alone for half a second by all threads that share its health. */
#ifndef PUNIT_LIB_GRID_GRID_H
#define PUNIT_LIB_GRID_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct punit_grid punit_grid_t;

typedef enum {
    PUNIT_GRID_OK,
    PUNIT_GRID_MISS,    /* get: not there; add: there already */
    PUNIT_GRID_TROUBLE, /* no answer, or backing off */
} punit_grid_rc_t;

/* A client of `servers` ("unix:/path" or "host:port", separated by spaces; "" = none, always
 * trouble). Keys are spread as the NGINX module does it (libmemcached's weighted ketama). It shares
 * what is known of the servers' health with `other`, a client of the same servers (NULL = on its
 * own); clients may be destroyed in any order. NULL and a log line if the text is malformed. */
punit_grid_t *punit_grid_create(const char *servers, punit_grid_t *other);
void          punit_grid_destroy(punit_grid_t *grid);

/* exptime as memcached takes it: 0 = never, up to 30 days = seconds from now, else an epoch time.
 */
punit_grid_rc_t punit_grid_set(punit_grid_t *grid, const char *key, const void *value, size_t len,
                               time_t exptime, uint32_t flags);
punit_grid_rc_t punit_grid_add(punit_grid_t *grid, const char *key, const void *value, size_t len,
                               time_t exptime, uint32_t flags);

/* Writes a service's generation to every server, never an older one over a newer, 3 s to live (from
 * now also where it is there already). OK: all servers have it; MISS: one has a newer; TROUBLE: one
 * does not answer (the others were written). */
punit_grid_rc_t punit_grid_generation(punit_grid_t *grid, const char *service, uint64_t generation);

/* Generation as a document's client flags: mod 2^32, and 0, which is unused, becomes 1. */
uint32_t punit_grid_flags(uint64_t generation);

/* To be called by the process of a service, before it answers with data of this generation: raises
 * that of every server, so that nobody reads an older text after this one. MISS: one, or another
 * thread, has answered or knows a newer. */
punit_grid_rc_t punit_grid_answered(punit_grid_t *grid, const char *service, uint64_t generation);

/* That, and stores a document as the module reads it: first line `"<etag>" <content-type>`, then
 * the body; 1 h. Not when there is a newer generation, and the document old already (MISS). */
punit_grid_rc_t punit_grid_store(punit_grid_t *grid, const char *service, const char *key,
                                 uint64_t generation, const char *etag, const char *type,
                                 const char *body, size_t len);

/* Whether every server answers: for /health. */
bool punit_grid_alive(punit_grid_t *grid);

#endif
