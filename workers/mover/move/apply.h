/* Apply: one local transaction that puts the rows of a snapshot in, as a copy or as the new owner.
 */
#ifndef PUNIT_MOVER_MOVE_APPLY_H
#define PUNIT_MOVER_MOVE_APPLY_H

#include "mover/move/record.h"
#include "mover/move/snapshot.h"

typedef enum {
    APPLY_OK,
    APPLY_NOTHING,   /* the guard says that nothing may be applied; apply->answer says why */
    APPLY_REFERENCE, /* a reference row is missing here */
    APPLY_BROKEN,    /* what came cannot be applied: digest, constraint, type... */
    APPLY_LATER,     /* this unit's database or the peer failed: as if nothing had happened */
} apply_result_t;

typedef struct {
    link_t       *local;
    const plan_t *plan;
    const task_t *task;
    snapshot_t   *snapshot;
    long long     epoch;       /* of the hand-over; 0: a copy */
    bool          failed;      /* this unit's database failed, not the peer */
    int           copying;     /* table whose COPY is open, -1: none */
    bool         *staged;      /* per table: has staged rows */
    bool         *buried;      /* per table: tombstones name it */
    char          answer[600]; /* of the database, or the error */
} apply_t;

/* After snapshot_read gave PULL_OK: reads all that `peer` sends, applies it, and commits with the
 * move's record. epoch 0: a warm copy. Else ACTIVATE at this epoch. */
apply_result_t apply_snapshot(apply_t *apply, link_t *local, link_t *peer, plan_t *plan,
                              const task_t *task, snapshot_t *snapshot, long long epoch);

/* The same in two steps. After APPLY_OK of the first the rows are in, and nothing is compared or
 * committed; the second must follow, and leaves `peer` alone. */
apply_result_t apply_rows(apply_t *apply, link_t *local, link_t *peer, plan_t *plan,
                          const task_t *task, snapshot_t *snapshot, long long epoch);
apply_result_t apply_close(apply_t *apply);

/* Between them: whether all reference rows that the rows need are here; if not, the answer of
 * apply_close will be it. */
bool apply_has_references(apply_t *apply);

/* ACTIVATE at this epoch with the rows that came with FENCE's answer: snapshot->delta is not NULL.
 */
apply_result_t apply_delta(apply_t *apply, link_t *local, plan_t *plan, const task_t *task,
                           snapshot_t *snapshot, long long epoch);

#endif
