/* Pace: the share of the time that moves nobody waits for may take. One account: each starts when
 * what the ones before it worked has been rested from, `100 - share` ms for `share` ms. Times are
 * ms of CLOCK_MONOTONIC. Pure. */
#ifndef PUNIT_MOVER_QUEUE_PACE_H
#define PUNIT_MOVER_QUEUE_PACE_H

#include <stdbool.h>

typedef struct {
    int    share;    /* percent, 1 to 100; 100: no rest, and nothing is counted */
    double free_at;  /* the next one may start */
    double usual_ms; /* work of a move, as the last ones went */
} pace_t;

/* Of one move, and of nothing else that works. */
typedef struct {
    double since;     /* it has worked since then, or since its last rest */
    double ahead_ms;  /* charged already */
    double worked_ms; /* in all, up to `since` */
} paced_t;

void pace_init(pace_t *pace, int share);

/* A move starts: it is charged with what a move usually works, so that others may start before it
 * is over (far units keep it waiting, and not working). */
void pace_start(pace_t *pace, paced_t *move, double now);

/* It has worked since `since` but for idle_ms; gives how long to rest from that if it goes on, and
 * counts from `now` plus that rest. */
double pace_worked(pace_t *pace, paced_t *move, double now, double idle_ms);

/* It is over. */
void pace_end(pace_t *pace, paced_t *move, double now, double idle_ms);

#endif
