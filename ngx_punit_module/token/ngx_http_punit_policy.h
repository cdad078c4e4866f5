
/* What a location demands of a token beside its signature. */


#ifndef _NGX_HTTP_PUNIT_POLICY_H_INCLUDED_
#define _NGX_HTTP_PUNIT_POLICY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_key.h>


/* Filled when configurations are merged, then sealed. */

typedef struct {
    ngx_str_t                       issuer;    /* empty: not checked */
    ngx_array_t                    *audience;  /* ngx_str_t; NULL: any */
    ngx_array_t                    *uuids;     /* ngx_str_t, claims; NULL: */
                                               /* none */
    time_t                          leeway;    /* seconds */
    u_char                          digest[NGX_HTTP_PUNIT_DIGEST_LEN];
} ngx_http_punit_policy_t;


/* Makes policy->digest; call it once the policy is complete. */

ngx_int_t ngx_http_punit_policy_seal(ngx_http_punit_policy_t *policy);


#endif /* _NGX_HTTP_PUNIT_POLICY_H_INCLUDED_ */
