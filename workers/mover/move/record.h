/* Record: punit.move, what a move has done so far; from it alone a move goes on after a crash. */
#ifndef PUNIT_MOVER_MOVE_RECORD_H
#define PUNIT_MOVER_MOVE_RECORD_H

#include "mover/move/snapshot.h"

/* While the first PULL is under way: seen by whoever asks what is under way. */
bool record_begin(link_t *local, const task_t *task);

/* A round of this many rows begins. */
bool record_due(link_t *local, const task_t *task, const char *rows);

/* Before FENCE is sent: from this commit on the move must be ended, by ACTIVATE or by a refusal.
 * age_ms: since what calls for it. *cancelled: an operator cancelled it since; FENCE must not be
 * sent. */
bool record_fence(link_t *local, const task_t *task, long long epoch, long age_ms, bool *cancelled);

/* Right after ACTIVATE: what is here now, for the audit. */
bool record_audit(link_t *local, const task_t *task);

/* The old owner was told of the refusal. */
bool record_refused(link_t *local, const task_t *task);

/* FENCE changed nothing there: the copy stays, the wish of an operator too. busy: counts as a BUSY.
 */
bool record_unfence(link_t *local, const task_t *task, bool busy, const char *error);

/* ABORT: this unit will never activate that epoch, and must tell. Not *refused: too late, it has,
 * or he is erased; then nothing may be told, or the old owner would take back a user who is not his
 * any more. */
bool record_refuse(link_t *local, const task_t *task, long long epoch, const char *error,
                   bool *refused);

/* The last step: result of punit.move.result's kinds; error may be NULL (what is noted already
 * stays). */
bool record_done(link_t *local, const char *move_id, const char *result, const char *error);

/* Why the move waits, without changing its phase. */
bool record_error(link_t *local, const task_t *task, const char *error);

/* The old owner knows: RETIRE was answered. */
bool record_retired(link_t *local, const task_t *task);

/* The user is owned here by a hand-over whose record still says otherwise: the old owner is to be
 * told. */
bool record_owned(link_t *local, const task_t *task);

#endif
