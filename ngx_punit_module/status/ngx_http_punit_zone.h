
/*
 * The shared memory zone: how it is made, and reused by a new configuration.
 */


#ifndef _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_


#include <ngx_http_punit.h>


#define NGX_HTTP_PUNIT_ZONE_MIN      (256 * 1024)


/* The init handler of the zone. */

ngx_int_t ngx_http_punit_zone_init(ngx_shm_zone_t *shm_zone, void *data);


#endif /* _NGX_HTTP_PUNIT_ZONE_H_INCLUDED_ */
