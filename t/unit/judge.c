#include "judge.h"

#include <stdlib.h>

#include "nginx_shim.h"


ngx_int_t
judge(const ngx_http_punit_key_t *key, const char *token)
{
    ngx_str_t            t = shim_str(token);
    ngx_http_punit_jws_t jws;
    const char          *reason;
    u_char              *buf = malloc(2 * t.len + 1);
    ngx_int_t            rc;

    rc = ngx_http_punit_jws_parse(&jws, &t, buf, &reason);
    if (rc == NGX_OK) {
        rc = ngx_http_punit_signature_check(key, &jws);
    }
    free(buf);
    return rc;
}
