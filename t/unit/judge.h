/* The layer under test in more than one program: key with pinned algorithm, token -> NGX_OK or
 * refused. */

#ifndef JUDGE_H
#define JUDGE_H

#include <ngx_http_punit_signature.h>

ngx_int_t judge(const ngx_http_punit_key_t *key, const char *token);

#endif
