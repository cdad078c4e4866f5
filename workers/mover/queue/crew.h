/* Crew: threads that wait for work. Whoever was last at work is the first to get some: its sessions
 * at both databases are still in the processor's caches. All with the lock held that is given to
 * crew_wait, but for crew_join. */
#ifndef PUNIT_MOVER_QUEUE_CREW_H
#define PUNIT_MOVER_QUEUE_CREW_H

#include <pthread.h>
#include <stdbool.h>

typedef struct hand hand_t;

struct hand {
    hand_t        *next;
    pthread_cond_t called;
    bool           away; /* not in the list: called, or has not waited yet */
};

typedef struct {
    hand_t *waiting; /* who came last first */
} crew_t;

/* The calling thread looks for work, until crew_leave. */
void crew_join(hand_t *self);
void crew_leave(crew_t *crew, hand_t *self);

/* Work that is due is for it to take; else it is somebody else's. */
bool crew_first(const crew_t *crew, const hand_t *self);

/* Until called; who is first, at most until then (ms of CLOCK_MONOTONIC, 0: without end). */
void crew_wait(crew_t *crew, hand_t *self, pthread_mutex_t *lock, double until_ms);

/* Calls the first, to look again; false: nobody waits. */
bool crew_call(crew_t *crew);

#endif
