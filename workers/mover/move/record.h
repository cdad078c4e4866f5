/* Record: a row of punit.move, what a move has done so far. After a crash a move goes on from it
 * alone. Each function is one transaction, and gives false when this unit's database fails. */
#ifndef PUNIT_MOVER_MOVE_RECORD_H
#define PUNIT_MOVER_MOVE_RECORD_H

#include "mover/link.h"
#include "mover/move/task.h"

/* Begins the record while the first PULL is under way, so that `punitctl moves` shows the move. */
bool record_begin(link_t *local, const task_t *task);

/* A round of this many rows begins. */
bool record_due(link_t *local, const task_t *task, const char *rows);

/* Called before FENCE is sent. From this commit on the move must be ended, by ACTIVATE or by a
 * refusal. age_ms: since the event that calls for the move. *cancelled: an operator cancelled the
 * move, so FENCE must not be sent. */
bool record_fence(link_t *local, const task_t *task, long long epoch, long age_ms, bool *cancelled);

/* FENCE changed nothing at the owner. The copy stays, and so does an operator's wish. busy: counts
 * as a BUSY. */
bool record_unfence(link_t *local, const task_t *task, bool busy, const char *error);

/* Called right after ACTIVATE: notes what is here now, for the audit. */
bool record_audit(link_t *local, const task_t *task);

/* ABORT: this unit will never activate that epoch, and must tell the owner. Without *refused it is
 * too late: the user is active here, or erased. The owner must not be told then, or it would take
 * back a user that it does not own any more. */
bool record_refuse(link_t *local, const task_t *task, long long epoch, const char *error,
                   bool *refused);

/* The old owner was told of the refusal. */
bool record_refused(link_t *local, const task_t *task);

/* This unit owns the user by a hand-over, but its record is before RETIRE. */
bool record_owned(link_t *local, const task_t *task);

/* The old owner has answered RETIRE. */
bool record_retired(link_t *local, const task_t *task);

/* Ends the record. result: a value of punit.move.result. error: NULL keeps the noted text. No
 * move_id ("") is no error. */
bool record_done(link_t *local, const char *move_id, const char *result, const char *error);

/* Ends the record for what the old owner sent: no message may follow. */
bool record_aborted(link_t *local, const task_t *task, const char *error);

/* Notes why the move waits. Its phase stays. */
bool record_error(link_t *local, const task_t *task, const char *error);

#endif
