/* Task: what this unit's database says about a user before the mover does anything about him
 * (punit.task). */
#ifndef PUNIT_MOVER_MOVE_TASK_H
#define PUNIT_MOVER_MOVE_TASK_H

#include "mover/link.h"
#include "mover/queue/queue.h"

typedef enum { STATE_COPY, STATE_OWNED, STATE_FENCED, STATE_ERASED } task_state_t;

typedef enum {
    PHASE_NONE,
    PHASE_WANTED,
    PHASE_COPY,
    PHASE_FENCE,
    PHASE_RETIRE,
    PHASE_REFUSE,
} task_phase_t;

typedef struct {
    char         user[USER_SIZE];
    task_state_t state;
    long long    epoch;           /* here */
    long long    ver;             /* of the copy here, -1: none */
    char         fork[USER_SIZE]; /* "" = none */
    long long    fence_epoch;     /* STATE_FENCED */
    long         fenced_ms;       /* STATE_FENCED: for how long */
    char         unit[UNIT_SIZE]; /* whom to talk to about him; "" = unknown */
    long long    unit_epoch; /* since when that unit owns him, as far as is known; 0 = unknown */
    char         here[USER_SIZE];  /* both incarnations */
    char         there[USER_SIZE]; /* "" = the unit is unknown */
    char         shape[33];
    char         move_id[USER_SIZE]; /* "" = no unfinished move to this unit */
    task_phase_t phase;
    bool         asked;              /* an operator asked: no waiting for quiet or dwell */
    long long    move_epoch;         /* the old owner's epoch in that move, 0 = unknown */
    char         pass_id[USER_SIZE]; /* a wish to be passed on; "" = none */
    char         pass_to[UNIT_SIZE];
    char         pass_there[USER_SIZE];
    bool         pass_paced; /* nobody waits for it */
    long cancelled_ms;       /* since an operator cancelled his last move to here; -1: nobody did */
    bool draining;           /* this unit is drained: only who is asked for may come */
} task_t;

/* Reads it; false when this unit's database does not answer. */
bool task_load(task_t *task, link_t *local, const errand_t *errand);

#endif
