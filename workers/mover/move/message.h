/* Message: one call of a function at the peer, with one word for an answer. RETIRE, RESOLVE and the
 * telling of an ABORT are such messages. Each is repeated until the peer answers it. */
#ifndef PUNIT_MOVER_MOVE_MESSAGE_H
#define PUNIT_MOVER_MOVE_MESSAGE_H

#include "mover/errand.h"

#define MESSAGE_ANSWER_SIZE 200

/* Sends `sql` about the user at `epoch`, with the incarnations of both units. False after the
 * outcome is set. */
bool message_send(errand_t *errand, const char *sql, long long epoch,
                  char answer[MESSAGE_ANSWER_SIZE]);

#endif
