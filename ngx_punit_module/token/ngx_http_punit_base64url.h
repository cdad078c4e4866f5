
/* base64url as in JOSE: RFC 4648, 5, without padding, RFC 7515, 2. */


#ifndef _NGX_HTTP_PUNIT_BASE64URL_H_INCLUDED_
#define _NGX_HTTP_PUNIT_BASE64URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define ngx_http_punit_base64url_size(len)  (((len) / 4 + 1) * 3)


/*
 * Decodes src to dst, which has room for ngx_http_punit_base64url_size(len)
 * bytes.  Sets *n to the bytes written.  NGX_DECLINED for octets outside the
 * alphabet (padding and white space too), for impossible lengths, and for
 * trailing bits that are not zero: a value has one spelling.
 */

ngx_int_t ngx_http_punit_base64url_decode(u_char *dst, size_t *n,
    const u_char *src, size_t len);


#endif /* _NGX_HTTP_PUNIT_BASE64URL_H_INCLUDED_ */
