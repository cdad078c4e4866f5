/* Ended: punit:tok:<jti> = revoked in the token grid, until the token would have expired anyway. */
#ifndef PUNIT_GRIDD_ENDED_H
#define PUNIT_GRIDD_ENDED_H

#include "gridd/link.h"

/* Writes all that has ended and not expired; stays due (state->catch_up) until all of it was
 * written. */
void gridd_ended_catch_up(gridd_state_t *state);

/* NOTIFY punit_ended, payload: "<kind> <subject> <exp, seconds since 1970>[ <gen>]". Kinds other
 * than jti name no token: the introspection refuses those when their entry `ok`, which lives
 * seconds, is gone. */
void gridd_ended_notified(gridd_state_t *state, const char *payload);

#endif
