
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_ketama.h>
#include <ngx_md5.h>


#define NGX_HTTP_PUNIT_KETAMA_DEFAULT_PORT  11211


static void ngx_http_punit_ketama_md5(u_char *md, const u_char *data,
    size_t len);
static uint32_t ngx_http_punit_ketama_hash(const u_char *md, ngx_uint_t part);
static int ngx_libc_cdecl ngx_http_punit_ketama_cmp(const void *one,
    const void *two);


ngx_uint_t
ngx_http_punit_ketama_build(ngx_http_punit_ketama_point_t *points,
    const ngx_http_punit_ketama_server_t *servers, ngx_uint_t n)
{
    float                            pct;
    u_char                           md[16];
    char                             tail[64];
    size_t                           len;
    uint32_t                         share, k;
    ngx_uint_t                       i, part, total;
    ngx_md5_t                        md5;
    ngx_http_punit_ketama_point_t   *p;

    total = 0;

    for (i = 0; i < n; i++) {
        total += servers[i].weight;
    }

    p = points;

    for (i = 0; i < n; i++) {

        /*
         * This is the expression of libmemcached, types included: another one
         * would round to another number of points.
         */

        pct = (float) servers[i].weight / (float) total;
        share = (uint32_t) (float) (pct * NGX_HTTP_PUNIT_KETAMA_POINTS / 4
                                    * (float) n + 0.0000000001);

        for (k = 0; k < share; k++) {

            if (servers[i].port == NGX_HTTP_PUNIT_KETAMA_DEFAULT_PORT) {
                len = snprintf(tail, sizeof(tail), "-%u", (unsigned) k);

            } else {
                len = snprintf(tail, sizeof(tail), ":%u-%u",
                               (unsigned) servers[i].port, (unsigned) k);
            }

            ngx_md5_init(&md5);
            ngx_md5_update(&md5, servers[i].host.data, servers[i].host.len);
            ngx_md5_update(&md5, tail, len);
            ngx_md5_final(md, &md5);

            for (part = 0; part < 4; part++) {
                p->hash = ngx_http_punit_ketama_hash(md, part);
                p->server = (uint32_t) i;
                p++;
            }
        }
    }

    ngx_qsort(points, p - points, sizeof(ngx_http_punit_ketama_point_t),
              ngx_http_punit_ketama_cmp);

    return p - points;
}


ngx_uint_t
ngx_http_punit_ketama_find(const ngx_http_punit_ketama_point_t *points,
    ngx_uint_t npoints, const ngx_str_t *key)
{
    u_char      md[16];
    uint32_t    hash;
    ngx_uint_t  left, right, middle;

    ngx_http_punit_ketama_md5(md, key->data, key->len);

    hash = ngx_http_punit_ketama_hash(md, 0);

    left = 0;
    right = npoints;

    while (left < right) {
        middle = left + (right - left) / 2;

        if (points[middle].hash < hash) {
            left = middle + 1;

        } else {
            right = middle;
        }
    }

    return points[left == npoints ? 0 : left].server;
}


static void
ngx_http_punit_ketama_md5(u_char *md, const u_char *data, size_t len)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, data, len);
    ngx_md5_final(md, &md5);
}


static uint32_t
ngx_http_punit_ketama_hash(const u_char *md, ngx_uint_t part)
{
    md += part * 4;

    return (uint32_t) md[3] << 24 | (uint32_t) md[2] << 16
           | (uint32_t) md[1] << 8 | md[0];
}


static int ngx_libc_cdecl
ngx_http_punit_ketama_cmp(const void *one, const void *two)
{
    const ngx_http_punit_ketama_point_t  *first, *second;

    first = one;
    second = two;

    if (first->hash != second->hash) {
        return first->hash < second->hash ? -1 : 1;
    }

    return first->server < second->server ? -1 : 1;
}
