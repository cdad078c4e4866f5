/* Token grid: what memcached knows of tokens, `punit:tok:<jti>` = `ok` or `revoked`. `revoked` is
 * set and stays until the token expires. `ok` is only added and stays for seconds, so a slow fill
 * never overwrites a revocation. Nothing changes while the grid is away. */
#ifndef PUNIT_AUTH_TOKEN_TOKEN_GRID_H
#define PUNIT_AUTH_TOKEN_TOKEN_GRID_H

#include "lib/http/request.h"

void token_grid_ok(punit_request_t *r, const char *jti);

/* exp: when the token expires, in seconds since 1970. */
void token_grid_revoked(punit_request_t *r, const char *jti, time_t exp);

#endif
