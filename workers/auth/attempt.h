/*
 * How often somebody may try a password or register: by name, which guards an
 * account against many addresses, and by client address, which guards many
 * accounts against one.  The counters are PostgreSQL's, whose statements an
 * attempt needs anyway: what stops counting stops the attempts too, and a
 * memcached that is away, full or flushed changes nothing.
 */

#ifndef PUNIT_AUTH_ATTEMPT_H
#define PUNIT_AUTH_ATTEMPT_H

#include "lib/http/request.h"

typedef struct {
    long name_burst;    /* PUNIT_AUTH_NAME_BURST, default 10: at once with one name */
    long name_every;    /* PUNIT_AUTH_NAME_EVERY, default 30s: then one each so many ms */
    long address_burst; /* PUNIT_AUTH_ADDRESS_BURST, default 300: many may share an address */
    long address_every; /* PUNIT_AUTH_ADDRESS_EVERY, default 1s */
} punit_attempt_limits_t;

/* Reads the limits; once, at start. */
punit_attempt_limits_t punit_attempt_limits(void);

/* Of a keyed hash ("\x..."), or of a user's id: what the attempts are counted under. */
const char *punit_attempt_name(punit_request_t *r, const char *hash);
const char *punit_attempt_user(punit_request_t *r, const char *user);

/* Counts one attempt. A problem 429 with Retry-After when there were too many. */
punit_problem_t *punit_attempt_take(punit_request_t *r, const char *who);

/* It was no guess: the password was right, or nobody looked at it. The name's count is as before;
 * the address's is not, since work was done for it. */
void punit_attempt_return(punit_request_t *r, const char *who);

#endif
