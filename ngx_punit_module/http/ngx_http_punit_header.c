
/* Lists of headers: of requests, of responses, and of upstream responses. */


#include <ngx_http_punit.h>
#include <ngx_http_punit_header.h>


/* The next header of that name, which is in lower case. */

ngx_table_elt_t *
ngx_http_punit_header_next_named(ngx_http_punit_header_iter_t *iter,
    const char *name,
    size_t len)
{
    ngx_table_elt_t  *h;

    do {
        h = ngx_http_punit_header_next(iter);

    } while (h && (h->hash == 0 || h->key.len != len
                   || ngx_strncasecmp(h->key.data, (u_char *) name, len)
                      != 0));

    return h;
}


/* The only header of that name; two of them count as none. */

ngx_table_elt_t *
ngx_http_punit_header(ngx_list_t *headers, const char *name, size_t len)
{
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter = { NULL, &headers->part, 0 };

    h = ngx_http_punit_header_next_named(&iter, name, len);

    if (h == NULL || ngx_http_punit_header_next_named(&iter, name, len)) {
        return NULL;
    }

    return h;
}


ngx_int_t
ngx_http_punit_header_add(ngx_http_request_t *r, const char *name, size_t len,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;
    h->lowcase_key = NULL;

    return NGX_OK;
}
