
/*
 * What workers and punit-gridd put into the grid.  Nothing here needs a
 * request; nothing is copied: what is given points into the value.
 */


#ifndef _NGX_HTTP_PUNIT_ENTRY_H_INCLUDED_
#define _NGX_HTTP_PUNIT_ENTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * punit:doc:...: "<etag>" <content type> LF body.  etag keeps its quotes; no
 * control characters are in it or in type.  NGX_OK; NGX_DECLINED: something
 * else.
 */

ngx_int_t ngx_http_punit_entry_document(const ngx_str_t *value,
    ngx_str_t *etag, ngx_str_t *type, ngx_str_t *body);


/*
 * punit:gen:...: digits.  The client flags of documents that are of it:
 * generation mod 2^32, where 0 is not used.  0: there is no generation.
 */

uint32_t ngx_http_punit_entry_generation(const ngx_str_t *value);


#endif /* _NGX_HTTP_PUNIT_ENTRY_H_INCLUDED_ */
