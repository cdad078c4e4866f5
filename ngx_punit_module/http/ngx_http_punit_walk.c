
/*
 * Lists of headers: of requests, of answers, and of what upstreams answered.
 */


#include "ngx_http_punit_module.h"


/* the next of that name (in lower case) */

ngx_table_elt_t *
ngx_http_punit_walk_to(ngx_http_punit_walk_t *walk, const char *name,
    size_t len)
{
    ngx_table_elt_t  *h;

    do {
        h = ngx_http_punit_walk(walk);

    } while (h && (h->hash == 0 || h->key.len != len
                   || ngx_strncasecmp(h->key.data, (u_char *) name, len)
                      != 0));

    return h;
}


/* the only header of that name; two of them are none */

ngx_table_elt_t *
ngx_http_punit_header(ngx_list_t *headers, const char *name, size_t len)
{
    ngx_table_elt_t        *h;
    ngx_http_punit_walk_t   walk = { NULL, &headers->part, 0 };

    h = ngx_http_punit_walk_to(&walk, name, len);

    if (h == NULL || ngx_http_punit_walk_to(&walk, name, len)) {
        return NULL;
    }

    return h;
}
