/* Snapshot: the messages PULL and FENCE as SQL, and the answer of punit.pull at the owner. The rows
 * that follow the answer are read by rows.h. */
#ifndef PUNIT_MOVER_MOVE_SNAPSHOT_H
#define PUNIT_MOVER_MOVE_SNAPSHOT_H

#include "mover/move/plan.h"
#include "mover/move/task.h"

typedef enum {
    SNAPSHOT_OK,
    SNAPSHOT_NOT_OWNER,
    SNAPSHOT_FENCED,
    SNAPSHOT_SHAPE,
    SNAPSHOT_ERASED,
    SNAPSHOT_VOID,
} snapshot_result_t;

typedef struct {
    snapshot_result_t result;
    bool              full;
    long long         base, ver, epoch, gc_ver;
    char              fork[USER_SIZE];

    /* Numbers that only pass through, as text. After a PULL they follow the COPYs. */
    char n[24], digest[64];

    char      due[24];         /* Rows that come, if they take long; otherwise empty. */
    char      unit[UNIT_SIZE]; /* SNAPSHOT_NOT_OWNER: the owner. */
    long long unit_epoch;
    long      wait_ms;             /* Until the user is quiet there and has stayed long enough. */
    long      seen_ms;             /* Since the owner saw the user; -1: not lately. */
    double    stay_s;              /* Since the last hand-over; -1: none. */
    double    dwell_s;             /* How long the user should stay after it; -1: none. */
    char      months[MONTHS_SIZE]; /* Partitions that the rows may need. */
    char      detail[2048];        /* What waits, why void, or the shape there. */
    double    fenced_at;          /* When FENCE's answer came, seconds of the epoch; 0: no FENCE. */
    long      applied_us;         /* From then on until ACTIVATE was committed. */
    long long rows, tombs, bytes; /* Shipped. The reader of the COPYs counts them. */

    /* After FENCE: the rows, as punit.user_delta gives them. NULL: they are too many. */
    char *delta;

    /* After COPYs: the references that the rows need, as punit.user_manifest gives them. */
    char *needs;
} snapshot_t;

/* PULL as one simple query, to be freed: one snapshot at the owner, and all tables in one round
 * trip. NULL without memory. */
char *snapshot_pull_sql(const plan_t *plan, const task_t *task);

/* FENCE at this epoch of the owner, for a copy at this fork and ver. After its commit the same
 * round trip reads the final rows in a new snapshot. busy: how often FENCE was BUSY before. */
char *snapshot_fence_sql(const plan_t *plan, const task_t *task, const char *fork, long long ver,
                         long long epoch, int busy);

/* After FENCE, for many rows: the final read with the rows as COPYs. */
char *snapshot_final_sql(const plan_t *plan, const task_t *task, long long epoch);

/* Reads the row of punit.pull from the results of such a query; false with peer->error. */
bool snapshot_read(snapshot_t *snapshot, link_t *peer);

/* Reads what follows the COPYs, which is n, digest and needs, and the end; false with peer->error.
 */
bool snapshot_read_end(snapshot_t *snapshot, link_t *peer);

/* Frees what these two allocated. Called once for each snapshot_read. */
void snapshot_free(snapshot_t *snapshot);

#endif
