#include "auth/token/token_grid.h"

#include <string.h>
#include <time.h>

#define OK_LIFE 5  /* seconds: the most by which a token may outlive its session */
#define LEEWAY  60 /* seconds, as auth.leeway() of the schema */


static const char *
key(punit_request_t *r, const char *jti)
{
    return punit_arena_format(r->arena, "punit:tok:%s", jti);
}


void
token_grid_ok(punit_request_t *r, const char *jti)
{
    punit_grid_add(r->token_grid, key(r, jti), "ok", 2, OK_LIFE, 0);
}


void
token_grid_revoked(punit_request_t *r, const char *jti, time_t exp)
{
    time_t until = exp + LEEWAY;

    /* memcached takes a large number as a time, and does not store what has expired. */
    if (until > time(NULL)) {
        punit_grid_set(r->token_grid, key(r, jti), "revoked", 7, until, 0);
    }
}
