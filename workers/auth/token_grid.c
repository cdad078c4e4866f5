#include "auth/token_grid.h"

#include <string.h>
#include <time.h>

#define OK_LIFE 5 /* seconds: how late a session's end may reach a token by itself */


static const char *
key(punit_request_t *r, const char *jti)
{
    return punit_arena_format(r->arena, "punit:tok:%s", jti);
}


void
punit_token_ok(punit_request_t *r, const char *jti)
{
    punit_grid_add(r->token_grid, key(r, jti), "ok", 2, OK_LIFE, 0);
}


void
punit_token_revoked(punit_request_t *r, const char *jti, time_t exp)
{
    /* memcached takes large numbers as times; one in the past would not be stored at all */
    if (exp > time(NULL)) {
        punit_grid_set(r->token_grid, key(r, jti), "revoked", 7, exp, 0);
    }
}
