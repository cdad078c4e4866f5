
/*
 * Lists of headers: of requests, of responses, and of upstream responses.
 */


#ifndef _NGX_HTTP_PUNIT_HEADER_H_INCLUDED_
#define _NGX_HTTP_PUNIT_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* An iterator over a list; it begins as { NULL, part, 0 }. */

typedef struct {
    ngx_list_part_t                *prev;
    ngx_list_part_t                *part;
    ngx_uint_t                      i;         /* of the next element */
} ngx_http_punit_header_iter_t;


/* The next header, NULL at the end.  Inline: each request has four loops. */

static ngx_inline ngx_table_elt_t *
ngx_http_punit_header_next(ngx_http_punit_header_iter_t *iter)
{
    while (iter->i >= iter->part->nelts) {

        if (iter->part->next == NULL) {
            return NULL;
        }

        iter->prev = iter->part;
        iter->part = iter->part->next;
        iter->i = 0;
    }

    return (ngx_table_elt_t *) iter->part->elts + iter->i++;
}


/* The next header of that name, which is in lower case. */

ngx_table_elt_t *ngx_http_punit_header_next_named(
    ngx_http_punit_header_iter_t *iter, const char *name, size_t len);


/* The only header of that name; NULL if there are none or several. */

ngx_table_elt_t *ngx_http_punit_header(ngx_list_t *headers, const char *name,
    size_t len);


/* Adds a header to the response; name is a constant.  NGX_OK or NGX_ERROR. */

ngx_int_t ngx_http_punit_header_add(ngx_http_request_t *r, const char *name,
    size_t len, ngx_str_t *value);


#endif /* _NGX_HTTP_PUNIT_HEADER_H_INCLUDED_ */
