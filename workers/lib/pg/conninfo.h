/* Conninfo: how this unit's database and the peers' databases are reached. All programs use these
 * functions, so that every connection has the same timeouts. */
#ifndef PUNIT_LIB_PG_CONNINFO_H
#define PUNIT_LIB_PG_CONNINFO_H

/* What a unit shows to its peers. A member that is NULL is not set. */
typedef struct {
    const char *unit;
    const char *cert; /* files */
    const char *key;
    const char *ca;
} punit_identity_t;

/* This unit's identity, from PUNIT_UNIT, PUNIT_TLS_CERT, PUNIT_TLS_KEY and PUNIT_TLS_CA. */
punit_identity_t punit_conninfo_identity(void);

/* This unit's database for `user`, without a password: PUNIT_PG with UTF-8, UTC and an empty
 * search_path. malloc'ed. NULL without memory. */
char *punit_conninfo_own(const char *user, const char *application);

/* A peer's database. `pg`: column pg of punit.peer, a conninfo or a URI of libpq.
 * - Where `pg` is silent: database punit, role punit_peer_<unit>, sslmode verify-full, and the
 * files of `self`.
 * - Whatever `pg` says: UTF-8, the timeouts and keepalives, and `application` and `options` (of the
 *   server, as libpq takes them) unless they are NULL.
 * malloc'ed, for libpq. NULL when `pg` is malformed or memory is short. */
char *punit_conninfo_peer(const char *pg, const punit_identity_t *self, const char *application,
                          const char *options);

/* `pg` with another role, and nothing else changed. malloc'ed. NULL when `pg` is malformed or
 * memory is short. */
char *punit_conninfo_as(const char *pg, const char *user);

#endif
