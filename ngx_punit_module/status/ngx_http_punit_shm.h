
/*
 * What is in the shared memory zone.  Each part belongs to the room that
 * declares it, and zone.c makes it.
 * The zone holds hints and counters only, so a lost zone (another size, a
 * binary upgrade) costs time and nothing else.  Peers that are marked down are
 * in the state file too.
 */


#ifndef _NGX_HTTP_PUNIT_SHM_H_INCLUDED_
#define _NGX_HTTP_PUNIT_SHM_H_INCLUDED_


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_grid.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_verdict_cache.h>


typedef struct {
    ngx_http_punit_verdict_cache_t  *verdict_cache;
    ngx_http_punit_owner_cache_t    *owners;
    ngx_http_punit_reissue_cache_t  *reissues;
    ngx_http_punit_refill_t         *refills;
    ngx_http_punit_generation_t     *generations;
    ngx_http_punit_counters_t        counters;
    ngx_http_punit_peer_node_t       peers[NGX_HTTP_PUNIT_PEERS_MAX];
    ngx_uint_t                       npeers;
    ngx_http_punit_grid_node_t       servers[NGX_HTTP_PUNIT_GRID_SERVERS_MAX];
    ngx_atomic_t                     writer;   /* pid, of the state file */
    time_t                           start;
} ngx_http_punit_shm_t;


/* shm_zone->data: each configuration makes one, sh is handed on. */

struct ngx_http_punit_zone_s {
    ngx_http_punit_shm_t            *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_http_punit_main_conf_t      *pmcf;
};


#define ngx_http_punit_zone(pmcf)                                             \
    ((ngx_http_punit_zone_t *) (pmcf)->shm_zone->data)


#endif /* _NGX_HTTP_PUNIT_SHM_H_INCLUDED_ */
