/* Attempt: how often a client may try a password or register. The limit by name guards an account
 * against many addresses. The limit by client address guards many accounts against one address.
 * PostgreSQL counts, since every attempt needs its statements anyway. So attempts stop when the
 * counter does, and a memcached that is away, full or flushed changes nothing. */
#ifndef PUNIT_AUTH_NAME_ATTEMPT_H
#define PUNIT_AUTH_NAME_ATTEMPT_H

#include "lib/http/request.h"

typedef struct {
    long name_burst;    /* PUNIT_AUTH_NAME_BURST, default 10: at once with one name */
    long name_every;    /* PUNIT_AUTH_NAME_EVERY, default 30s: then one in this time, in ms */
    long address_burst; /* PUNIT_AUTH_ADDRESS_BURST, default 300: many may share an address */
    long address_every; /* PUNIT_AUTH_ADDRESS_EVERY, default 1s */
} attempt_limits_t;

/* Reads the limits. Called once, at the start. */
attempt_limits_t attempt_limits(void);

/* The key that attempts are counted under: of a name's keyed hash ("\x..."), or of a user's id. */
const char *attempt_name(punit_request_t *r, const char *hash);
const char *attempt_user(punit_request_t *r, const char *user);

/* Counts one attempt. 429 with Retry-After when there were too many. */
punit_problem_t *attempt_take(punit_request_t *r, const char *who);

/* Takes one attempt back, since it was no guess: the password was right, or was not compared. The
 * count of the address stays, since work was done for it. */
void attempt_return(punit_request_t *r, const char *who);

#endif
