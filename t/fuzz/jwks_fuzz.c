/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jwks.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c t/unit/nginx_shim.c */

/* A JWK Set, and the same octets as a PEM. */

#include <stdlib.h>
#include <string.h>

#include <ngx_http_punit_jwks.h>

#include "../unit/nginx_shim.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_pool_t *pool = shim_pool();
    ngx_array_t keys = { .pool = pool, .size = sizeof(ngx_http_punit_key_t), .nalloc = 2 };
    ngx_http_punit_key_t *key, pem = { .alg = ngx_http_punit_key_alg((const u_char *) "ES256", 5) };
    ngx_http_punit_key_error_t err;
    ngx_array_t bad = { .pool = pool, .size = sizeof(ngx_http_punit_key_error_t), .nalloc = 2 };
    ngx_uint_t  skipped, i;

    keys.elts = ngx_palloc(pool, 2 * keys.size);
    bad.elts = ngx_palloc(pool, 2 * bad.size);
    err.text[0] = 0;
    if (ngx_http_punit_jwks_parse(pool, &keys, data, size, &skipped, &bad, &err) != NGX_OK
        && err.text[0] == 0)
    {
        abort();
    }
    key = keys.elts;
    for (i = 0; i < keys.nelts; i++) {
        ngx_http_punit_key_free(&key[i]);
    }
    if (ngx_http_punit_key_pem(&pem, data, size, &err) == NGX_OK) {
        ngx_http_punit_key_free(&pem);
    }
    shim_pool_free(pool);
    return 0;
}
