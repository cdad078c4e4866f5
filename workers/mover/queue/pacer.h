/* Pacer: limits paced moves, which no user waits for, to a share of the time. All paced moves share
 * one account. For `share` ms of work the account rests `100 - share` ms before the next move
 * starts. Times are ms of CLOCK_MONOTONIC. Pure. */
#ifndef PUNIT_MOVER_QUEUE_PACER_H
#define PUNIT_MOVER_QUEUE_PACER_H

#include <stdbool.h>

typedef struct {
    int    share;    /* Percent, 1 to 100; 100: no rest, and nothing is counted. */
    double free_at;  /* The next move may start. */
    double usual_ms; /* Average work of the last moves. */
} pacer_t;

/* The work of one paced move. */
typedef struct {
    double since;     /* Start of the work that is not counted yet. */
    double ahead_ms;  /* Charged before it was worked. */
    double worked_ms; /* Work until `since`. */
} pacer_work_t;

void pacer_init(pacer_t *pacer, int share);

/* Starts a move and charges the usual work of a move at once. Thus other moves may start before
 * this one ends: a distant peer makes a move wait, and waiting is no work. */
void pacer_start(pacer_t *pacer, pacer_work_t *move, double now);

/* Charges the work since `since`, except idle_ms. Gives the rest in ms that the work needs, and
 * counts from the end of that rest. */
double pacer_worked(pacer_t *pacer, pacer_work_t *move, double now, double idle_ms);

/* Ends a move. */
void pacer_end(pacer_t *pacer, pacer_work_t *move, double now, double idle_ms);

#endif
