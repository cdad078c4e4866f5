/* Queue: the users whom a mover thread must look after. A user is in it at most once. The user who
 * is due first comes first, except that paced users come after all others: no user waits for a
 * paced move, and paced moves take only their share of the time (pacer.h). The queue keeps the
 * evidence of each user, which is the times of the last requests here within PUNIT_MOVE_WINDOW. */
#ifndef PUNIT_MOVER_QUEUE_QUEUE_H
#define PUNIT_MOVER_QUEUE_QUEUE_H

#include <stdbool.h>

#include "mover/queue/pacer.h"
#include "mover/queue/report.h"

/* A user who is due, as the queue gives the user to a mover thread. */
typedef struct {
    char         user[USER_SIZE];
    char         unit[UNIT_SIZE]; /* The owner by the last report or answer; "" = unknown. */
    long long    epoch;           /* That owner's epoch. */
    bool         evidence;   /* PUNIT_MOVE_AFTER requests came here within PUNIT_MOVE_WINDOW. */
    long         foreign_ms; /* Since the last request here; -1: none known. */
    int          tries;      /* Failures in a row. */
    int          busy;       /* How often FENCE answered BUSY in this move for too many writes. */
    bool         paced;      /* No user waits for this move. */
    pacer_work_t work;       /* The work of this job, if it is paced. */
} job_t;

/* What the mover thread gives back. */
typedef struct {
    long   again_ms; /* Look after the user again in so many ms; -1: only when called. */
    bool   failed;   /* Counts as a failure; otherwise `tries` becomes 0. */
    bool   spent;    /* The evidence is used up or void: only new requests count. */
    double idle_ms;  /* Time in which the job only waited for the network. */
} outcome_t;

/* Requests came here for a user whom report->unit owns. They are evidence, and the user is due. */
void queue_report(const report_t *report);

/* Makes a user due now, unless the user waits already or a thread has the user. paced: no user
 * waits for this move. The last call decides that, but a request here within the window overrides
 * it. */
void queue_call(const char *user, bool paced);

/* Waits for the next user who is due; false when the process stops. No other thread gets the user
 * until queue_done. */
bool queue_take(job_t *job);
void queue_done(const job_t *job, const outcome_t *outcome);

/* Rests in the middle of a paced job, in proportion to its work so far, if that is enough. The
 * caller must be at a point where no user waits. The rest ends early on a request of the user, on
 * queued work without a free thread, or when the process stops. */
void queue_rest(job_t *job);

/* Charges work that is no job, done since began_ms, as paced. Gives the rest in ms that it needs.
 */
long queue_charge(double began_ms);

/* Forgets users without work or evidence; gives how many remain. */
long queue_sweep(void);

/* Calls `tell` with the evidence of each user who has some, as one report. */
void queue_evidence(void (*tell)(const report_t *report, void *context), void *context);

/* Wakes the waiting threads because the process stops. */
void queue_stop(void);

#endif
