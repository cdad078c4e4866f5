/* links: ngx_punit_module/token/ngx_http_punit_base64url.c */
/* links: ngx_punit_module/token/ngx_http_punit_jws.c */
/* links: ngx_punit_module/token/ngx_http_punit_named_claim.c */
/* links: ngx_punit_module/token/ngx_http_punit_claims.c */
/* links: ngx_punit_module/token/ngx_http_punit_policy.c */
/* links: ngx_punit_module/http/ngx_http_punit_syntax.c */
/* links: ngx_punit_module/token/ngx_http_punit_key.c t/unit/nginx_shim.c */

/*
 * A token from the client, as it is; and, when it comes apart, its payload as
 * claims, and the same input as claims right away.
 */

#include <stdlib.h>
#include <string.h>

#include <ngx_http_punit_jws.h>
#include <ngx_http_punit_named_claim.h>

#include "../unit/nginx_shim.h"


static void
claims(ngx_str_t *payload, ngx_str_t *kid)
{
    static ngx_http_punit_policy_t policy = { .leeway = 5 };
    static ngx_str_t names[] = { ngx_string("sub"), ngx_string("roles"), ngx_string("scope") };
    ngx_http_punit_claims_t c;
    ngx_pool_t             *pool = shim_pool();
    const char             *reason;
    ngx_str_t               value;

    if (ngx_http_punit_claims_parse(pool, &c, payload, kid, &policy, 1700000000, &reason) == NGX_OK)
    {
        for (size_t i = 0; i < c.user.len; i++) {
            if (c.user.data[i] <= 0x20 || c.user.data[i] >= 0x7f) {
                abort();
            }
        }
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (ngx_http_punit_named_claim(pool, &c, &names[i], &value) == NGX_OK) {
                ngx_http_punit_named_claim_has(&c, &names[i], &value);
            }
        }
    }
    shim_pool_free(pool);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t            token = { size, (u_char *) data };
    ngx_str_t            kid = ngx_string("eu-1");
    ngx_http_punit_jws_t jws;
    const char          *reason;
    u_char              *buf = malloc(2 * size + 1);

    if (ngx_http_punit_jws_parse(&jws, &token, buf, &reason) == NGX_OK) {
        claims(&jws.payload, &jws.kid);
    }
    claims(&token, &kid);
    free(buf);
    return 0;
}
