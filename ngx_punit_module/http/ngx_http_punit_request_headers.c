
/*
 * The POST_READ phase.  Punit-* headers of clients are dropped, except for the
 * hint Punit-Unit.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_request_headers.h>


static ngx_int_t ngx_http_punit_request_headers_drop(ngx_http_request_t *r,
    ngx_list_part_t *prev, ngx_list_part_t *part, ngx_uint_t i);


/*
 * The elements that stay are not moved: r->headers_in points to some of them.
 * Only the first part may become empty: loops over the list read the first
 * element of the next part without looking at its size.
 */

ngx_int_t
ngx_http_punit_request_headers_handler(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_punit_header_iter_t  iter;
    ngx_http_punit_srv_conf_t    *pscf;

    pscf = ngx_http_get_module_srv_conf(r, ngx_http_punit_module);

    if (pscf->listener || r != r->main || r->internal) {
        return NGX_DECLINED;
    }

again:

    iter.prev = NULL;
    iter.part = &r->headers_in.headers.part;
    iter.i = 0;

    while ((h = ngx_http_punit_header_next(&iter))) {

        if (h->key.len < 6
            || ngx_strncmp(h->lowcase_key, "punit", 5) != 0
            || (h->lowcase_key[5] != '-' && h->lowcase_key[5] != '_'))
        {
            continue;
        }

        if (h->key.len == sizeof("punit-unit") - 1
            && ngx_strncmp(h->lowcase_key, "punit-unit",
                           sizeof("punit-unit") - 1)
               == 0)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent header \"%V\", dropped", &h->key);

        if (ngx_http_punit_request_headers_drop(r, iter.prev, iter.part,
                                                iter.i - 1)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        goto again;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_punit_request_headers_drop(ngx_http_request_t *r,
    ngx_list_part_t *prev,
    ngx_list_part_t *part, ngx_uint_t i)
{
    ngx_list_t       *l;
    ngx_table_elt_t  *h;
    ngx_list_part_t  *rest;

    l = &r->headers_in.headers;
    h = part->elts;

    if (part->nelts == 1 && prev) {

        prev->next = part->next;

        if (l->last == part) {
            l->last = prev;
            part = prev;
        }

    } else if (i == part->nelts - 1) {
        part->nelts--;

    } else if (i == 0) {
        part->elts = &h[1];
        part->nelts--;

    } else {
        rest = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->elts = &h[i + 1];
        rest->nelts = part->nelts - i - 1;
        rest->next = part->next;

        part->nelts = i;
        part->next = rest;

        if (l->last == part) {
            l->last = rest;
            part = rest;
        }
    }

    /* The last part has less room than nalloc: a push must take a new part. */

    if (l->last == part) {
        l->nalloc = ngx_max(part->nelts, 1);
    }

    return NGX_OK;
}
