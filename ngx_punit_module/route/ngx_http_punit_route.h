
/*
 * The route: which unit, and by which named location; also which units were
 * tried already.
 */


#ifndef _NGX_HTTP_PUNIT_ROUTE_H_INCLUDED_
#define _NGX_HTTP_PUNIT_ROUTE_H_INCLUDED_


#include <ngx_http_punit.h>


/*
 * More tries than there are units: a higher epoch is a hand-over meanwhile.
 * An abandoned hand-over takes two, there and back.
 */

#define NGX_HTTP_PUNIT_HANDOVERS  8


/* In the order of ngx_http_punit_route_e; they end with NUL. */

extern ngx_str_t  ngx_http_punit_route_names[NGX_HTTP_PUNIT_ROUTES];


/* Access step: the first route. */

ngx_int_t ngx_http_punit_route_step(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/* Routes to a unit, which is a text of the configuration.  NGX_OK, or the
   answer. */

ngx_int_t ngx_http_punit_route_to(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *unit, uint64_t epoch,
    const char *why);


/*
 * The unit ctx->route.unit cannot be asked.  again: the request may be sent
 * again.  NGX_OK, or the answer.
 */

ngx_int_t ngx_http_punit_route_lost(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_problem_e problem,
    ngx_uint_t again);


/* Was this unit tried with that epoch, or with a higher one? */

ngx_uint_t ngx_http_punit_route_tried(ngx_http_punit_ctx_t *ctx,
    ngx_str_t *unit, uint64_t epoch);


/* The PRECONTENT phase: sends the request on its way. */

ngx_int_t ngx_http_punit_route_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_PUNIT_ROUTE_H_INCLUDED_ */
