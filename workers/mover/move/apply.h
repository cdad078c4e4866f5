/* Apply: one local transaction that applies the rows of a snapshot, as a warm copy or as the new
 * owner (ACTIVATE). */
#ifndef PUNIT_MOVER_MOVE_APPLY_H
#define PUNIT_MOVER_MOVE_APPLY_H

#include "mover/move/plan.h"
#include "mover/move/rows.h"
#include "mover/move/snapshot.h"
#include "mover/move/task.h"

typedef enum {
    APPLY_OK,
    APPLY_NOTHING,   /* The guard lets nothing be applied; apply->answer says why. */
    APPLY_REFERENCE, /* A reference row is missing here. */
    APPLY_BROKEN,    /* The rows cannot be applied: digest, constraint, type... */
    APPLY_LATER,     /* This unit's database or the peer failed. Nothing was applied. */
} apply_result_t;

typedef struct {
    link_t       *local;
    const task_t *task;
    snapshot_t   *snapshot;
    rows_t        rows;
    long long     epoch;       /* Of the hand-over; 0: a warm copy. */
    bool          failed;      /* This unit's database failed, not the peer. */
    char          answer[600]; /* Of the database, or the error. */
} apply_t;

/* Reads all that `peer` sends after snapshot_read gave SNAPSHOT_OK, applies it, and commits with
 * the move's record. epoch 0: a warm copy; otherwise ACTIVATE at this epoch. */
apply_result_t apply_snapshot(apply_t *apply, link_t *local, link_t *peer, plan_t *plan,
                              const task_t *task, snapshot_t *snapshot, long long epoch);

/* The same in two steps. After APPLY_OK of the first, the rows are in, but neither compared nor
 * committed. The second must follow, and does not use `peer`. */
apply_result_t apply_rows(apply_t *apply, link_t *local, link_t *peer, plan_t *plan,
                          const task_t *task, snapshot_t *snapshot, long long epoch);
apply_result_t apply_close(apply_t *apply);

/* Between the two: whether all reference rows that the rows need are here. If not, apply_close
 * gives APPLY_REFERENCE. */
bool apply_has_references(apply_t *apply);

/* ACTIVATE at this epoch with the rows in FENCE's answer: snapshot->delta is not NULL. */
apply_result_t apply_delta(apply_t *apply, link_t *local, plan_t *plan, const task_t *task,
                           snapshot_t *snapshot, long long epoch);

#endif
