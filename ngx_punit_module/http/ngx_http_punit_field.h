
/*
 * Values of header fields that clients, workers and peers send.  Nothing here
 * needs a request; nothing is copied: what is given points into what came.
 */


#ifndef _NGX_HTTP_PUNIT_FIELD_H_INCLUDED_
#define _NGX_HTTP_PUNIT_FIELD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_PUNIT_ID_MAX             32   /* bytes of a unit's id */
#define NGX_HTTP_PUNIT_REQUEST_ID_MAX     64


/* is it a unit's id, [a-z0-9-]{1,32} */

ngx_uint_t ngx_http_punit_field_unit(const ngx_str_t *id);


/*
 * Authorization (RFC 6750, 2.1).  The scheme is compared without case (RFC
 * 9110, 11.1).  NGX_OK: token is what follows it, which may be nothing;
 * NGX_DECLINED: another scheme, so that Basic may be used beside.
 */

ngx_int_t ngx_http_punit_field_bearer(const ngx_str_t *value,
    ngx_str_t *token);


/*
 * Punit-Owner, Punit-Author: <unit>[; epoch=<n>], as in doc/PROTOCOL.md, n of
 * at most 18 digits.  NGX_OK; NGX_DECLINED: anything else.
 */

ngx_int_t ngx_http_punit_field_owner(const ngx_str_t *value, ngx_str_t *unit,
    uint64_t *epoch);


/* CDN-Loop (RFC 8586): does it name id?  Without case, as hosts are. */

ngx_uint_t ngx_http_punit_field_loops(const ngx_str_t *value,
    const ngx_str_t *id);


/*
 * If-None-Match: does it name etag (which is strong and has its quotes) and
 * nothing else?  By the weak comparison of RFC 9110, 8.8.3.2.
 */

ngx_uint_t ngx_http_punit_field_etag(const ngx_str_t *value,
    const ngx_str_t *etag);


/* X-Request-Id of a peer: is it one, [A-Za-z0-9_-]{1,64} */

ngx_uint_t ngx_http_punit_field_request_id(const ngx_str_t *id);


#endif /* _NGX_HTTP_PUNIT_FIELD_H_INCLUDED_ */
