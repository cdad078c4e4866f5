/* Attempt: how often a client may try a password or register. The limit by name and address guards
 * an account against one stranger, who uses up nothing of the user's own addresses. The limit of
 * strangers guards an account against many addresses. An address from which the right password came
 * before is no stranger's. The limit by address guards many accounts against one address.
 * PostgreSQL counts, since every attempt needs its statements anyway. So attempts stop when the
 * counter does, and a memcached that is away, full or flushed changes nothing. */
#ifndef PUNIT_AUTH_NAME_ATTEMPT_H
#define PUNIT_AUTH_NAME_ATTEMPT_H

#include "lib/http/request.h"

typedef struct {
    long name_burst;      /* PUNIT_AUTH_NAME_BURST, default 10: one name, one address */
    long name_every;      /* PUNIT_AUTH_NAME_EVERY, default 30s: then one in this time, in ms */
    long strangers_burst; /* PUNIT_AUTH_STRANGERS_BURST, default 100: one name, all strangers */
    long strangers_every; /* PUNIT_AUTH_STRANGERS_EVERY, default 5s */
    long address_burst;   /* PUNIT_AUTH_ADDRESS_BURST, default 300: many may share an address */
    long address_every;   /* PUNIT_AUTH_ADDRESS_EVERY, default 1s */
} attempt_limits_t;

/* Reads the limits. Called once, at the start. */
attempt_limits_t attempt_limits(void);

/* The key that attempts are counted under, of a name's keyed hash ("\x..."). */
const char *attempt_name(punit_request_t *r, const char *hash);

/* Counts one attempt. 429 with Retry-After when there were too many. */
punit_problem_t *attempt_take(punit_request_t *r, const char *who);

/* Takes one attempt back, since it was no guess: the password was right, or was not compared. The
 * count of the address stays, since work was done for it. right: the client knows the password, so
 * that its address is known from now on. */
void attempt_return(punit_request_t *r, const char *who, bool right);

/* Logs an attempt with a wrong password: the name's keyed hash, never the name, and the address. */
void attempt_log(const punit_request_t *r, const char *who);

#endif
