
/* Counters of this unit, in the zone. */


#ifndef _NGX_HTTP_PUNIT_COUNTER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_COUNTER_H_INCLUDED_


#include <ngx_http_punit.h>


/* Latency: ngx_http_punit_status.c has the upper bounds, the last has none. */

#define NGX_HTTP_PUNIT_BUCKETS       12


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


/* These need ngx_http_punit_shm.h. */

#define ngx_http_punit_counters(pmcf)                                         \
    (&ngx_http_punit_zone(pmcf)->sh->counters)

#define ngx_http_punit_counter_add(r, counter)                                \
    (void) ngx_atomic_fetch_add(                                              \
        &ngx_http_punit_counters((ngx_http_punit_main_conf_t *)               \
            ngx_http_get_module_main_conf(r, ngx_http_punit_module))          \
            ->counter, 1)


#endif /* _NGX_HTTP_PUNIT_COUNTER_H_INCLUDED_ */
