
/*
 * The format of values that workers and punit-gridd put into the grid.
 * Nothing here needs a request.  Nothing is copied: results point into the
 * value.
 */


#ifndef _NGX_HTTP_PUNIT_GRID_VALUE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_GRID_VALUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * punit:doc:...: "<etag>" <content type> LF body.  etag keeps its quotes.
 * Neither etag nor type has control characters.  NGX_OK; NGX_DECLINED: another
 * format.
 */

ngx_int_t ngx_http_punit_grid_value_document(const ngx_str_t *value,
    ngx_str_t *etag, ngx_str_t *type, ngx_str_t *body);


/*
 * punit:gen:...: digits.  Gives the client flags of documents of that
 * generation: generation mod 2^32, where 0 is not used.  0: there is no
 * generation.
 */

uint32_t ngx_http_punit_grid_value_generation(const ngx_str_t *value);


#endif /* _NGX_HTTP_PUNIT_GRID_VALUE_H_INCLUDED_ */
