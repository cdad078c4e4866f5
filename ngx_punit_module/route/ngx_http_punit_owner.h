
/*
 * The owner cache in the zone: the owner of each user, and what the mover has
 * yet to be told.  All functions take the mutex of shpool, briefly.
 */


#ifndef _NGX_HTTP_PUNIT_OWNER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_OWNER_H_INCLUDED_


#include <ngx_http_punit.h>
#include <ngx_http_punit_syntax.h>


/* For that long after a peer forwarded a request of a user, local requests of
   the user are counted for the mover. */

#define NGX_HTTP_PUNIT_FORWARDED     600       /* seconds */


typedef struct {
    ngx_str_node_t                  user;      /* name, in the tree */
    ngx_queue_t                     queue;
    uint64_t                        epoch;
    ngx_msec_t                      told;      /* when, valid if was_told */
    ngx_msec_t                      queued;    /* until when a worker has it */
    time_t                          forwarded; /* until: peers forward it */
    uint32_t                        foreign;   /* requests not yet told */
    uint32_t                        local;
    u_char                          unit_len;  /* 0: not known */
    unsigned                        was_told:1;
    unsigned                        is_queued:1;
    u_char                          unit[NGX_HTTP_PUNIT_UNIT_MAX];
    u_char                          name[NGX_HTTP_PUNIT_USER_MAX];
} ngx_http_punit_owner_t;


struct ngx_http_punit_owner_cache_s {
    ngx_rbtree_t                    rbtree;
    ngx_rbtree_node_t               sentinel;
    ngx_queue_t                     queue;     /* head: used last */
    ngx_queue_t                     free;
    ngx_uint_t                      count;
    ngx_uint_t                      evicted;
};


/* What was counted of a user since the mover was told. */

typedef struct {
    uint64_t                        epoch;
    uint32_t                        foreign;
    uint32_t                        local;
    size_t                          unit_len;
    u_char                          unit[NGX_HTTP_PUNIT_UNIT_MAX];
} ngx_http_punit_tally_t;


/* limit: bytes of the zone.  NULL if the zone is full. */

ngx_http_punit_owner_cache_t *ngx_http_punit_owner_init(
    ngx_slab_pool_t *shpool, size_t limit);


/* unit->data has NGX_HTTP_PUNIT_UNIT_MAX bytes.  NGX_OK or NGX_DECLINED. */

ngx_int_t ngx_http_punit_owner_get(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_str_t *unit, uint64_t *epoch);


/* force: the owner itself said so, take it even with a lower epoch. */

void ngx_http_punit_owner_learn(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_str_t *unit, uint64_t epoch, ngx_uint_t force);


/* A peer has forwarded a request of the user to this unit. */

void ngx_http_punit_owner_forwarded(ngx_http_punit_zone_t *zone,
    ngx_str_t *user);


/*
 * Counts a request that the mover is to hear of.  NGX_OK: the caller has to
 * come back for the user at *due (ngx_current_msec); NGX_DECLINED: no.
 */

ngx_int_t ngx_http_punit_owner_count(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_uint_t foreign, ngx_msec_t interval,
    ngx_msec_t delay, ngx_msec_t *due);


/* Takes what was counted.  NGX_OK, or NGX_DECLINED: nothing to tell. */

ngx_int_t ngx_http_punit_owner_take(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_http_punit_tally_t *tally);


/*
 * Gives a tally back that the mover did not take.  The caller tries again
 * within so many milliseconds; 0: it does not.
 */

void ngx_http_punit_owner_give_back(ngx_http_punit_zone_t *zone,
    ngx_str_t *user, ngx_http_punit_tally_t *tally, ngx_msec_t again);


#endif /* _NGX_HTTP_PUNIT_OWNER_H_INCLUDED_ */
