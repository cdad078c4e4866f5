/* Visitor: a user somebody must look after, and the queue of those. Each user at most once, oldest first; the
 * evidence that he is here to stay (requests within the window) is kept with him. */
#ifndef PUNIT_MOVER_VISITOR_H
#define PUNIT_MOVER_VISITOR_H

#include <stdbool.h>

#include "mover/report.h"

/* What a mover thread is given. */
typedef struct {
    char        user[USER_SIZE];
    char        unit[UNIT_SIZE];    /* who owns him as the last report or answer said; "" = nobody said */
    long long   epoch;
    bool        evidence;           /* PUNIT_MOVE_AFTER requests here within PUNIT_MOVE_WINDOW */
    long        foreign_ms;         /* since the last request here; -1: none known */
    int         tries;              /* failures in a row */
    int         busy;               /* how often FENCE found him writing, or too much written, in this move */
} errand_t;

/* What it gives back. */
typedef struct {
    long        again_ms;           /* look after him again in so many ms; -1: not of our own accord */
    bool        failed;             /* counts as a failure: tries + 1, else tries = 0 */
    bool        spent;              /* the evidence is used up, or void: only new requests count */
} outcome_t;

/* Requests of a user here who is owned by `unit`: evidence, and he is looked after at once. */
void visitor_reported(const report_t *report);

/* To be looked after now, unless he already waits or is being looked after. */
void visitor_call(const char *user);

/* The next one due, waiting for him; false when the process stops. Until visitor_done nobody else gets him. */
bool visitor_take(errand_t *errand);
void visitor_done(const errand_t *errand, const outcome_t *outcome);

/* Forgets those without work or evidence; gives how many remain. */
long visitor_sweep(void);

/* Wakes the waiting threads: the process stops. */
void visitor_stop(void);

/* Delay after so many failures in a row: doubles from `first` up to `most`. */
long backoff_ms(int tries, long first, long most);

#endif
