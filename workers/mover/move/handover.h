/* Handover: what is to be done about a user now, decided from this unit's database alone, and the
 * steps that bring him here: PULL, FENCE, ACTIVATE, RETIRE. */
#ifndef PUNIT_MOVER_MOVE_HANDOVER_H
#define PUNIT_MOVER_MOVE_HANDOVER_H

#include "mover/move/task.h"
#include "mover/mover.h"

/* Does what can be done now; `outcome` says when to look again. Every step may be cut off by kill
 * -9: the next errand goes on from what is committed. */
void handover_errand(mover_t *mover, errand_t *errand, outcome_t *outcome);

/* What the steps share. */
typedef struct {
    mover_t   *mover;
    errand_t  *errand;
    outcome_t *outcome;
    task_t     task;
    link_t    *peer; /* to task.unit */
    long       began_ms;
    long long  compared; /* ver at which all rows here were compared by this errand, and the record
                            says so; -1: none */
} handover_t;

/* Since what calls for this move: the last request here, else the beginning of this errand. */
long handover_age_ms(const handover_t *h);

/* After a failure that may pass: look again after a back-off. */
void handover_later(handover_t *h, long first_ms, long most_ms);

/* Connects to task.unit; false after having set the outcome. */
bool handover_reach(handover_t *h);

/* The peer failed in the middle of a message. */
void handover_lost(handover_t *h);

/* This unit's database failed in the middle. */
void handover_stuck(handover_t *h);

/* The peer answered that it is not the owner, or with something that no step can go on from. */
void handover_elsewhere(handover_t *h, const char *unit, long long epoch);

/* Logs an event of this hand-over once for each new text, notes the text in the record, and backs
 * off. */
void handover_wait(handover_t *h, const char *event, const char *why);

#endif
