/*
 * What the grid knows of tokens: `punit:tok:<jti>` = `ok` or `revoked`.
 * `revoked` is set and stays until the token expires; `ok` is only ever added
 * and stays for seconds, so a slow fill never overwrites a revocation.  The
 * grid being away changes nothing.
 */

#ifndef PUNIT_AUTH_TOKEN_GRID_H
#define PUNIT_AUTH_TOKEN_GRID_H

#include "lib/http/request.h"

void punit_token_ok(punit_request_t *r, const char *jti);

/* exp: the token's, seconds since 1970. */
void punit_token_revoked(punit_request_t *r, const char *jti, time_t exp);

#endif
