/* Snapshot: the answer of punit.pull at the old owner, before the rows that follow it. */
#ifndef PUNIT_MOVER_MOVE_SNAPSHOT_H
#define PUNIT_MOVER_MOVE_SNAPSHOT_H

#include "mover/move/plan.h"
#include "mover/move/task.h"

typedef enum {
    PULL_OK,
    PULL_NOT_OWNER,
    PULL_FENCED,
    PULL_SHAPE,
    PULL_ERASED,
    PULL_VOID,
} pull_result_t;

typedef struct {
    pull_result_t result;
    bool          full;
    long long     base, ver, epoch, gc_ver;
    char          fork[USER_SIZE];
    char n[24], digest[64]; /* numbers as text: they only pass through; of a PULL they come after
                               the COPYs */
    char      due[24];      /* rows that come, if they are so many that it takes long; else empty */
    char      unit[UNIT_SIZE]; /* PULL_NOT_OWNER: who is */
    long long unit_epoch;
    long      wait_ms;         /* until he is quiet there and has stayed long enough */
    long      seen_ms;         /* since he was seen there; -1: not lately */
    double    stay_s, dwell_s; /* since his last hand-over, and how long he should stay; -1: none */
    char      months[MONTHS_SIZE]; /* partitions that the rows may need */
    char      detail[2048];        /* what waits, why void, the shape there */
    double    fenced_at;           /* when FENCE's answer came, seconds of the epoch; 0: no FENCE */
    long      applied_us;          /* from then on until ACTIVATE was committed */
    long long rows, tombs, bytes;  /* shipped, counted by whoever reads the COPYs */
    char
        *delta; /* after FENCE: the rows, as punit.user_delta gives them; NULL: they are too many */
    char *needs; /* after COPYs: the references that the rows need, as punit.user_manifest gives
                    them */
} snapshot_t;

/* Message PULL as one simple query, malloc'ed: one snapshot at the owner, all tables in one round
 * trip. */
char *snapshot_pull_sql(const plan_t *plan, const task_t *task);

/* Message FENCE at this epoch of the owner to a copy at this fork and ver, its commit, and in a new
 * snapshot punit.pull with the final rows, in the same round trip. busy: how often it was BUSY
 * before. */
char *snapshot_fence_sql(const plan_t *plan, const task_t *task, const char *fork, long long ver,
                         long long epoch, int busy);

/* After that, when they are many: the final read with the rows as COPYs. */
char *snapshot_final_sql(const plan_t *plan, const task_t *task, long long epoch);

/* Reads the row of punit.pull from the results of such a query; false with peer->error. */
bool snapshot_read(snapshot_t *snapshot, link_t *peer);

/* Reads what follows the COPYs: n, digest and needs, and the end; false with peer->error. */
bool snapshot_read_end(snapshot_t *snapshot, link_t *peer);

/* What the two gave memory for; called once for each snapshot_read. */
void snapshot_free(snapshot_t *snapshot);

#endif
