/* Visitor: a user somebody must look after, and the queue of those. Each user at most once, oldest
 * first, but for those whom a drain brings and nobody waits for: they come after all others, and
 * only take their share of the time (pace.h). The evidence that he is here to stay (requests within
 * the window) is kept with him. */
#ifndef PUNIT_MOVER_QUEUE_QUEUE_H
#define PUNIT_MOVER_QUEUE_QUEUE_H

#include <stdbool.h>

#include "mover/queue/pace.h"
#include "mover/queue/report.h"

/* What a mover thread is given. */
typedef struct {
    char user[USER_SIZE];
    char unit[UNIT_SIZE]; /* who owns him as the last report or answer said; "" = nobody said */
    long long epoch;
    bool      evidence;   /* PUNIT_MOVE_AFTER requests here within PUNIT_MOVE_WINDOW */
    long      foreign_ms; /* since the last request here; -1: none known */
    int       tries;      /* failures in a row */
    int       busy;       /* how often FENCE found him writing, or too much written, in this move */
    bool      paced;      /* nobody waits for him */
    paced_t   work;       /* of this errand, if so */
} errand_t;

/* What it gives back. */
typedef struct {
    long   again_ms; /* look after him again in so many ms; -1: not of our own accord */
    bool   failed;   /* counts as a failure: tries + 1, else tries = 0 */
    bool   spent;    /* the evidence is used up, or void: only new requests count */
    double idle_ms;  /* for so long the errand only waited for the network */
} outcome_t;

/* Requests of a user here who is owned by `unit`: evidence, and he is looked after at once. */
void visitor_reported(const report_t *report);

/* To be looked after now, unless he already waits or is being looked after. paced: nobody waits for
 * it; the last call counts, and requests of his here within the window count more. */
void visitor_call(const char *user, bool paced);

/* The next one due, waiting for him; false when the process stops. Until visitor_done nobody else
 * gets him. */
bool visitor_take(errand_t *errand);
void visitor_done(const errand_t *errand, const outcome_t *outcome);

/* In the middle of an errand, where nobody waits for its next step: rests from a paced one's work
 * in proportion, if it has worked for long enough. Requests of his here, somebody whom no thread is
 * free for, and the end of the process end the rest. */
void visitor_rest(errand_t *errand);

/* The same for work that is no errand, done since began_ms. Gives how long to rest from it. */
long visitor_worked(double began_ms);

/* Forgets those without work or evidence; gives how many remain. */
long visitor_sweep(void);

/* Wakes the waiting threads: the process stops. */
void visitor_stop(void);

/* Delay after so many failures in a row: doubles from `first` up to `most`. */
long backoff_ms(int tries, long first, long most);

#endif
