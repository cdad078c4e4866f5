
/*
 * The shared memory zone: verdicts, owners, reissued tokens, running refills,
 * peers, servers of grids, and counters.  What is in it is a hint or a count, so that losing it
 * (another size, a binary upgrade) costs time only; peers marked down are kept
 * in the state file as well.
 */


#ifndef _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_punit_field.h"
#include "ngx_http_punit_grid.h"
#include "ngx_http_punit_verdict.h"


#define NGX_HTTP_PUNIT_USER_MAX      64        /* longer ones are not kept */
#define NGX_HTTP_PUNIT_PEERS_MAX     64
#define NGX_HTTP_PUNIT_REFILLS       1024
#define NGX_HTTP_PUNIT_ZONE_MIN      (256 * 1024)

#define NGX_HTTP_PUNIT_PEER_UNSET    0
#define NGX_HTTP_PUNIT_PEER_UP       1
#define NGX_HTTP_PUNIT_PEER_DOWN     2

/* how long local requests of a user are told whom peers forwarded here */

#define NGX_HTTP_PUNIT_FORWARDED     600       /* seconds */


typedef enum {
    NGX_HTTP_PUNIT_ROUTE_NONE = 0,
    NGX_HTTP_PUNIT_ROUTE_GRID,
    NGX_HTTP_PUNIT_ROUTE_LOCAL,
    NGX_HTTP_PUNIT_ROUTE_FORWARD,
    NGX_HTTP_PUNIT_ROUTE_STALE,
    NGX_HTTP_PUNIT_ROUTE_REFUSE,
    NGX_HTTP_PUNIT_ROUTES
} ngx_http_punit_route_e;


/* upper bounds of latency, milliseconds; the last bucket has none */

#define NGX_HTTP_PUNIT_BUCKETS       12


typedef enum {
    NGX_HTTP_PUNIT_VERDICT_NONE = 0,           /* no token */
    NGX_HTTP_PUNIT_VERDICT_OK,
    NGX_HTTP_PUNIT_VERDICT_REFUSED,            /* not good */
    NGX_HTTP_PUNIT_VERDICT_EXPIRED,
    NGX_HTTP_PUNIT_VERDICT_REVOKED,
    NGX_HTTP_PUNIT_VERDICT_UNKNOWN,            /* could not be asked */
    NGX_HTTP_PUNIT_VERDICTS
} ngx_http_punit_verdict_e;


typedef struct {
    ngx_atomic_t                    routes[NGX_HTTP_PUNIT_ROUTES];
    ngx_atomic_t                    latency[NGX_HTTP_PUNIT_ROUTES]
                                           [NGX_HTTP_PUNIT_BUCKETS];
    ngx_atomic_t                    latency_sum[NGX_HTTP_PUNIT_ROUTES];
    ngx_atomic_t                    verdicts[NGX_HTTP_PUNIT_VERDICTS];
    ngx_atomic_t                    followed;
    ngx_atomic_t                    looped;
    ngx_atomic_t                    outrun;
    ngx_atomic_t                    grid_hits;
    ngx_atomic_t                    grid_near;
    ngx_atomic_t                    grid_misses;
    ngx_atomic_t                    grid_stale;
    ngx_atomic_t                    grid_waited;
    ngx_atomic_t                    grid_failed;
    ngx_atomic_t                    introspected;
    ngx_atomic_t                    reissued;
    ngx_atomic_t                    moves_sent;
    ngx_atomic_t                    moves_failed;
} ngx_http_punit_counters_t;


typedef struct {
    u_char                          id[NGX_HTTP_PUNIT_ID_MAX];
    size_t                          len;
    ngx_uint_t                      configured; /* state the file last said */
    ngx_atomic_t                    down;
    time_t                          since;
    ngx_atomic_t                    forwarded;  /* requests sent there */
    ngx_atomic_t                    received;   /* requests from there */
    ngx_atomic_t                    unreachable;
    ngx_atomic_t                    refused;    /* 421s */
} ngx_http_punit_peer_node_t;


/* who owns a user, as far as is known; and what the mover is to be told */

typedef struct {
    ngx_rbtree_node_t               node;
    ngx_queue_t                     queue;
    uint64_t                        epoch;
    ngx_msec_t                      told;      /* when, valid if was_told */
    ngx_msec_t                      queued;    /* until when a worker has it */
    time_t                          forwarded; /* until: peers send him here */
    uint32_t                        foreign;   /* requests not yet told */
    uint32_t                        local;
    u_char                          unit_len;  /* 0: not known */
    u_char                          user_len;
    unsigned                        was_told:1;
    unsigned                        is_queued:1;
    u_char                          unit[NGX_HTTP_PUNIT_ID_MAX];
    u_char                          user[NGX_HTTP_PUNIT_USER_MAX];
} ngx_http_punit_owner_t;


typedef struct {
    ngx_rbtree_t                    rbtree;
    ngx_rbtree_node_t               sentinel;
    ngx_queue_t                     queue;     /* head: used last */
    ngx_queue_t                     free;
    ngx_uint_t                      count;
    ngx_uint_t                      evicted;
} ngx_http_punit_owners_t;


/* the token that takes the place of (jti, epoch) */

typedef struct {
    ngx_rbtree_node_t               node;
    ngx_queue_t                     queue;
    uint64_t                        epoch;
    time_t                          exp;
    ngx_msec_t                      retry;     /* len 0: not before that */
    u_char                          jti[NGX_HTTP_PUNIT_USER_MAX];
    u_char                          jti_len;
    uint16_t                        len;
    u_char                          token[1];
} ngx_http_punit_reissued_t;


typedef struct {
    ngx_rbtree_t                    rbtree;
    ngx_rbtree_node_t               sentinel;
    ngx_queue_t                     queue;     /* head: used last */
    size_t                          size;
    size_t                          limit;
} ngx_http_punit_reissues_t;


/* a refill of a document that runs at the moment, or has run last */

typedef struct {
    uint32_t                        hash;      /* 0: none */
    ngx_uint_t                      state;     /* of refill.c */
    ngx_msec_t                      since;
    ngx_msec_t                      done;
} ngx_http_punit_refill_t;


/* a service's generation, for a few milliseconds */

typedef struct ngx_http_punit_generation_s  ngx_http_punit_generation_t;


typedef struct {
    ngx_http_punit_verdicts_t      *verdicts;
    ngx_http_punit_owners_t        *owners;
    ngx_http_punit_reissues_t      *reissues;
    ngx_http_punit_refill_t        *refills;
    ngx_http_punit_generation_t    *generations;
    ngx_http_punit_counters_t       counters;
    ngx_http_punit_peer_node_t      peers[NGX_HTTP_PUNIT_PEERS_MAX];
    ngx_uint_t                      npeers;
    ngx_http_punit_grid_node_t      servers[NGX_HTTP_PUNIT_GRID_SERVERS_MAX];
    ngx_atomic_t                    writer;    /* pid that writes the state */
    time_t                          start;
} ngx_http_punit_shm_t;


/* shm_zone->data; made at each configuration, sh is handed on */

typedef struct {
    ngx_http_punit_shm_t           *sh;
    ngx_slab_pool_t                *shpool;
    void                           *pmcf;
} ngx_http_punit_zone_t;


ngx_int_t ngx_http_punit_zone_init(ngx_shm_zone_t *shm_zone, void *data);


/*
 * owner.  All take the mutex of shpool, briefly.  unit points to a buffer of
 * NGX_HTTP_PUNIT_ID_MAX bytes.
 */

ngx_http_punit_owners_t *ngx_http_punit_owners_init(ngx_slab_pool_t *shpool,
    size_t limit);
ngx_int_t ngx_http_punit_owner_get(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_str_t *unit, uint64_t *epoch);

/* force: the owner itself said so, take it even with a lower epoch */

void ngx_http_punit_owner_learn(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_str_t *unit, uint64_t epoch, ngx_uint_t force);
void ngx_http_punit_owner_forwarded(ngx_http_punit_zone_t *zone,
    ngx_str_t *user);

/*
 * Counts a request the mover is to hear of.  NGX_OK: the caller has to come
 * back for the user at *due (ngx_current_msec); NGX_DECLINED: nothing to do.
 */

ngx_int_t ngx_http_punit_owner_count(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_uint_t foreign, ngx_msec_t interval,
    ngx_msec_t delay, ngx_msec_t *due);


typedef struct {
    uint64_t                        epoch;
    uint32_t                        foreign;
    uint32_t                        local;
    size_t                          unit_len;
    u_char                          unit[NGX_HTTP_PUNIT_ID_MAX];
} ngx_http_punit_tally_t;

/* takes what was counted; give_back: it could not be told, and the caller will
   try again within so many milliseconds, or not (0) */

ngx_int_t ngx_http_punit_owner_take(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_http_punit_tally_t *tally);
void ngx_http_punit_owner_give_back(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_http_punit_tally_t *tally, ngx_msec_t again);


/* reissue */

ngx_http_punit_reissues_t *ngx_http_punit_reissues_init(
    ngx_slab_pool_t *shpool, size_t limit);

/*
 * refill.  hash: of the document's key, not 0; asked: when the caller asked
 * the grid for it (ngx_current_msec).  NGX_OK: claimed for the caller, who ends
 * it by done; NGX_BUSY: one runs, since so many milliseconds; NGX_AGAIN: one
 * was answered since the caller asked, the document may be there now.
 */

ngx_int_t ngx_http_punit_refill_claim(ngx_http_punit_zone_t *zone,
    uint32_t hash, ngx_msec_t asked, ngx_msec_t *since);
void ngx_http_punit_refill_done(ngx_http_punit_zone_t *zone, uint32_t hash,
    ngx_uint_t answered);


/*
 * generation.  flags: client flags of documents that are of it; asked: when
 * memcached was asked for it (ngx_current_msec).  service: at most
 * NGX_HTTP_PUNIT_ID_MAX bytes.  NGX_OK, NGX_DECLINED: to be asked for.
 */

ngx_http_punit_generation_t *ngx_http_punit_generations_init(
    ngx_slab_pool_t *shpool);
ngx_int_t ngx_http_punit_generation_get(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t *flags);
void ngx_http_punit_generation_keep(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t flags, ngx_msec_t asked);
void ngx_http_punit_generation_drop(ngx_http_punit_zone_t *zone,
    ngx_str_t *service);

/* whether nobody can have had an answer that is newer than documents of these
   flags, which were of the generation before */

ngx_uint_t ngx_http_punit_generation_unseen(ngx_http_punit_zone_t *zone,
    ngx_str_t *service, uint32_t flags);


#define ngx_http_punit_zone(pmcf)                                             \
    ((ngx_http_punit_zone_t *) (pmcf)->shm_zone->data)

#define ngx_http_punit_counters(pmcf)                                         \
    (&ngx_http_punit_zone(pmcf)->sh->counters)


#endif /* _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_ */
