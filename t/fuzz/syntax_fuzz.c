/* links: ngx_punit_module/http/ngx_http_punit_syntax.c t/unit/nginx_shim.c */

/*
 * The same octets as each header field.  What is accepted holds what it
 * promises, and lies within what came.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ngx_http_punit_syntax.h>

#include "../unit/nginx_shim.h"


static void
check(int good)
{
    if (!good) {
        abort();
    }
}


static void
within(const ngx_str_t *part, const ngx_str_t *whole)
{
    check(part->data >= whole->data && part->data + part->len <= whole->data + whole->len);
}


/* said again, it is understood as the same */
static void
owner(const ngx_str_t *value)
{
    ngx_str_t unit, again_unit, again;
    uint64_t  epoch, again_epoch;
    u_char    text[NGX_HTTP_PUNIT_UNIT_MAX + 32];

    if (ngx_http_punit_syntax_owner(value, &unit, &epoch) != NGX_OK) {
        return;
    }
    within(&unit, value);
    check(ngx_http_punit_syntax_unit(&unit) && epoch <= 999999999999999999u);
    again.data = text;
    again.len = (size_t) snprintf((char *) text, sizeof(text), "%.*s; epoch=%llu", (int) unit.len,
                                  unit.data, (unsigned long long) epoch);
    check(ngx_http_punit_syntax_owner(&again, &again_unit, &again_epoch) == NGX_OK);
    check(again_epoch == epoch && again_unit.len == unit.len
          && memcmp(again_unit.data, unit.data, unit.len) == 0);
}


/* what names the unit does so still with this unit's own entry behind it, which names it in any
 * case */
static void
loop(const ngx_str_t *value)
{
    static const ngx_str_t id = ngx_string("punit-eu");
    ngx_str_t              longer = { value->len + id.len + 2, malloc(value->len + id.len + 2) };
    ngx_uint_t             loops = ngx_http_punit_syntax_loop(value, &id);

    memcpy(longer.data, value->data, value->len);
    memcpy(longer.data + value->len, ", punit-eu", id.len + 2);
    check(ngx_http_punit_syntax_loop(&longer, &id));
    check(!loops || value->len >= id.len);
    free(longer.data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ngx_str_t etag = ngx_string("\"a\"");
    ngx_str_t              value = { size, malloc(size ? size : 1) }, token;

    memcpy(value.data, data, size);
    if (ngx_http_punit_syntax_bearer(&value, &token) == NGX_OK) {
        within(&token, &value);
        check(token.len == 0 || token.data[0] != ' ');
    }
    owner(&value);
    loop(&value);
    check(!ngx_http_punit_syntax_etag(&value, &etag) || size == etag.len || size == etag.len + 2);
    if (ngx_http_punit_syntax_unit(&value) || ngx_http_punit_syntax_request_id(&value)) {
        for (size_t i = 0; i < size; i++) {
            check(data[i] > 0x20 && data[i] < 0x7f);
        }
    }
    free(value.data);
    return 0;
}
