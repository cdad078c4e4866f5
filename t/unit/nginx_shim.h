/*
 * What the pure parts of the module use of nginx, for programs that link them
 * alone.  The pools call malloc for each allocation, so that ASan sees each
 * edge.  The slab pool has a limit, mutexes do nothing, and a test sets the
 * clock.
 */

#ifndef NGINX_SHIM_H
#define NGINX_SHIM_H

#include <ngx_config.h>
#include <ngx_core.h>

ngx_pool_t *shim_pool(void);
void        shim_pool_free(ngx_pool_t *pool);

/* limit: bytes until ngx_slab_alloc() gives NULL */
ngx_slab_pool_t *shim_slab(size_t limit);
size_t           shim_slab_used(void);
void             shim_slab_free(ngx_slab_pool_t *shpool);

void shim_time(time_t now);

ngx_str_t shim_str(const char *s);

/* the whole file, NUL-terminated, by malloc; NULL if it is not there */
char *shim_file(const char *path, size_t *len);

#endif
