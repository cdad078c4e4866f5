
/*
 * Values of header fields that clients, workers and peers send.  Nothing here
 * needs a request.  Nothing is copied: results point into the value.
 */


#ifndef _NGX_HTTP_PUNIT_SYNTAX_H_INCLUDED_
#define _NGX_HTTP_PUNIT_SYNTAX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_PUNIT_UNIT_MAX             32   /* bytes of a unit's id */
#define NGX_HTTP_PUNIT_REQUEST_ID_MAX     64


/* Is it the id of a unit, [a-z0-9-]{1,32}? */

ngx_uint_t ngx_http_punit_syntax_unit(const ngx_str_t *id);


/*
 * Is it a UUID as RFC 9562, 4 writes it, in lower case?  With capitals too,
 * one user would have several spellings.
 */

ngx_uint_t ngx_http_punit_syntax_uuid(const ngx_str_t *text);


/*
 * Authorization (RFC 6750, 2.1).  The scheme is compared without case (RFC
 * 9110, 11.1).  NGX_OK: token is the rest, which may be empty.  NGX_DECLINED:
 * another scheme, so that Basic may be used too.
 */

ngx_int_t ngx_http_punit_syntax_bearer(const ngx_str_t *value,
    ngx_str_t *token);


/*
 * Punit-Owner, Punit-Author: <unit>[; epoch=<n>], as in doc/PROTOCOL.md.  n
 * has at most 18 digits.  NGX_OK; NGX_DECLINED: anything else.
 */

ngx_int_t ngx_http_punit_syntax_owner(const ngx_str_t *value, ngx_str_t *unit,
    uint64_t *epoch);


/*
 * CDN-Loop (RFC 8586): does it name id?  Case does not matter, as for hosts.
 */

ngx_uint_t ngx_http_punit_syntax_loop(const ngx_str_t *value,
    const ngx_str_t *id);


/*
 * If-None-Match: does it name etag (which is strong and has its quotes) and
 * nothing else?  By the weak comparison of RFC 9110, 8.8.3.2.
 */

ngx_uint_t ngx_http_punit_syntax_etag(const ngx_str_t *value,
    const ngx_str_t *etag);


/* X-Request-Id of a peer: is it valid, [A-Za-z0-9_-]{1,64}? */

ngx_uint_t ngx_http_punit_syntax_request_id(const ngx_str_t *id);


#endif /* _NGX_HTTP_PUNIT_SYNTAX_H_INCLUDED_ */
