/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */

/* What decodes has no other spelling: encoded again it is what came. */

#include <stdlib.h>

#include <ngx_http_punit_base64url.h>


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char al[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    u_char           *out = malloc(ngx_http_punit_base64url_size(size));
    size_t            n, bits;

    if (ngx_http_punit_base64url_decode(out, &n, data, size) == NGX_OK) {
        if (n != size * 6 / 8) {
            abort();
        }
        for (size_t i = 0; i < size; i++) {
            bits = i * 6;
            unsigned v = out[bits / 8] << 8 | (bits / 8 + 1 < n ? out[bits / 8 + 1] : 0);

            if (data[i] != al[v >> (10 - bits % 8) & 63]) {
                abort();
            }
        }
    }
    free(out);
    return 0;
}
