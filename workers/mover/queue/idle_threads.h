/* Idle threads: the threads that wait for work. The thread that worked last gets the next work,
 * because its sessions at both databases are still in the processor's caches. Every call needs the
 * lock that idle_threads_wait takes, except idle_threads_join. */
#ifndef PUNIT_MOVER_QUEUE_IDLE_THREADS_H
#define PUNIT_MOVER_QUEUE_IDLE_THREADS_H

#include <pthread.h>
#include <stdbool.h>

typedef struct idle_thread idle_thread_t;

struct idle_thread {
    idle_thread_t *next;
    pthread_cond_t woken;
    bool           away; /* Not in the list: the thread was woken, or has not waited yet. */
};

typedef struct {
    idle_thread_t *first; /* The thread that came last. */
} idle_threads_t;

/* The calling thread looks for work, until idle_threads_leave. */
void idle_threads_join(idle_thread_t *self);
void idle_threads_leave(idle_threads_t *idle, idle_thread_t *self);

/* Whether the calling thread may take work that is due; otherwise another thread takes it. */
bool idle_threads_first(const idle_threads_t *idle, const idle_thread_t *self);

/* Waits until the thread is woken. The first thread waits at most until until_ms (CLOCK_MONOTONIC,
 * 0: no limit). */
void idle_threads_wait(idle_threads_t *idle, idle_thread_t *self, pthread_mutex_t *lock,
                       double until_ms);

/* Wakes the first thread; false if no thread waits. */
bool idle_threads_wake(idle_threads_t *idle);

#endif
