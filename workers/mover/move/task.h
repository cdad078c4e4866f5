/* Task: what this unit's database knows about a user before the mover acts (punit.task). */
#ifndef PUNIT_MOVER_MOVE_TASK_H
#define PUNIT_MOVER_MOVE_TASK_H

#include "mover/link.h"
#include "mover/queue/queue.h"

typedef enum { STATE_COPY, STATE_OWNED, STATE_FENCED, STATE_ERASED, TASK_STATES } task_state_t;

typedef enum {
    PHASE_NONE,
    PHASE_WANTED,
    PHASE_COPY,
    PHASE_FENCE,
    PHASE_RETIRE,
    PHASE_REFUSE,
    TASK_PHASES,
} task_phase_t;

typedef struct {
    char         user[USER_SIZE];
    task_state_t state;
    long long    epoch;              /* Here. */
    long long    ver;                /* Of the copy here; -1: no copy. */
    char         fork[USER_SIZE];    /* "" = none. */
    long long    fence_epoch;        /* STATE_FENCED. */
    long         fenced_ms;          /* STATE_FENCED: since FENCE. */
    char         unit[UNIT_SIZE];    /* The unit to talk to about the user; "" = unknown. */
    char         witness[UNIT_SIZE]; /* Can say that this unit owns the user; "" = nobody. */
    long long    unit_epoch;         /* The epoch at which that unit owns the user; 0 = unknown. */

    /* The incarnations of both units; there is "" if the unit is unknown. */
    char here[USER_SIZE];
    char there[USER_SIZE];
    char shape[33];

    /* The unfinished move to this unit. */
    char         move_id[USER_SIZE]; /* "" = none. */
    task_phase_t phase;
    bool         asked; /* An operator asked: the move waits neither for quiet nor for dwell. */
    long long    move_epoch; /* The old owner's epoch; 0 = unknown. */

    /* A wish to be passed on to another unit. */
    char pass_id[USER_SIZE]; /* "" = none. */
    char pass_to[UNIT_SIZE];
    char pass_there[USER_SIZE];
    bool pass_paced; /* No user waits for it. */

    long cancelled_ms; /* Since an operator cancelled the last move to here; -1: none. */
    bool draining;     /* The unit is drained: only users that an operator asked for may come. */
} task_t;

/* Reads the task; false when this unit's database does not answer. */
bool task_load(task_t *task, link_t *local, const job_t *job);

#endif
