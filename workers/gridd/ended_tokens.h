/* Ended tokens: punit:tok:<jti> = revoked in the token grid, until the token expires. */
#ifndef PUNIT_GRIDD_ENDED_TOKENS_H
#define PUNIT_GRIDD_ENDED_TOKENS_H

#include "gridd/listener.h"

/* Writes all that has ended and not expired. It stays due (state->catch_up) until all is written.
 */
void ended_tokens_catch_up(state_t *state);

/* NOTIFY punit_ended, payload: "<kind> <subject> <exp, seconds since 1970>[ <gen>]". Kinds other
 * than jti name no token. The introspection refuses their tokens once the entry `ok`, which lives
 * for seconds, is gone. */
void ended_tokens_notified(state_t *state, const char *payload);

#endif
