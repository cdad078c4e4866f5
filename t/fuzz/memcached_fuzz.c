/* links: ngx_punit_module/grid/ngx_http_punit_memcached.c */
/* links: ngx_punit_module/grid/ngx_http_punit_grid_value.c t/unit/nginx_shim.c */

/*
 * What a memcached server sends: the verdict must not depend on how it is cut.
 * And the same octets as a document and as a generation.
 */

#include <stdlib.h>
#include <string.h>

#include <ngx_http_punit_grid_value.h>
#include <ngx_http_punit_memcached.h>


/* the parts, put together again, are the whole */
static void
entry(const uint8_t *data, size_t size)
{
    ngx_str_t value = { size, malloc(size ? size : 1) }, etag, type, body;

    memcpy(value.data, data, size);
    if (ngx_http_punit_grid_value_document(&value, &etag, &type, &body) == NGX_OK) {
        if (etag.data != value.data || etag.len < 2 || etag.data[etag.len - 1] != '"'
            || type.data != etag.data + etag.len + 1 || type.len == 0
            || body.data != type.data + type.len + 1 || body.data + body.len != value.data + size
            || memchr(value.data, '\n', size) != body.data - 1)
        {
            abort();
        }
    }
    ngx_http_punit_grid_value_generation(&value);
    free(value.data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_http_punit_memcached_answer_t whole, part;
    size_t                            pos = 0;
    ngx_int_t                         rc, prc;

    entry(data, size);
    while (pos < size) {
        memset(&whole, 0, sizeof(whole));
        rc = ngx_http_punit_memcached_parse(&whole, data + pos, size - pos);
        for (size_t n = 0; n < size - pos && n < 64; n++) {
            u_char *p = malloc(n + 1);

            memcpy(p, data + pos, n);
            memset(&part, 0, sizeof(part));
            prc = ngx_http_punit_memcached_parse(&part, p, n);
            free(p);
            if (prc != NGX_AGAIN
                && (prc != rc || (rc == NGX_OK && memcmp(&part, &whole, sizeof(part)) != 0))) {
                abort();
            }
        }
        if (rc != NGX_OK) {
            break;
        }
        if (whole.head == 0 || whole.head > size - pos) {
            abort();
        }
        pos += whole.head + (whole.kind == NGX_HTTP_PUNIT_MEMCACHED_HIT ? whole.size + 2 : 0);
    }
    return 0;
}
