
/* Errors as application/problem+json (RFC 9457). */


#ifndef _NGX_HTTP_PUNIT_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_PUNIT_PROBLEM_H_INCLUDED_


#include <ngx_http_punit.h>


/*
 * Ends a request with an error of the module; the caller returns the result.
 * detail is a constant without quotes, or NULL.
 */

ngx_int_t ngx_http_punit_problem(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_problem_e problem,
    const char *detail);


/*
 * For the header filter: replaces the body of an error that nginx or the
 * module made.  *ctx is made if there was none, as 413 comes before
 * PREACCESS.  NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_punit_problem_replace(ngx_http_request_t *r,
    ngx_http_punit_ctx_t **ctx);


/* For the REWRITE phase: notes the error that led to this location. */

ngx_int_t ngx_http_punit_problem_inherit(ngx_http_request_t *r);


/* Adds the body filter. */

ngx_int_t ngx_http_punit_problem_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_PUNIT_PROBLEM_H_INCLUDED_ */
