#include "mover/queue/idle_threads.h"

#include <stddef.h>

#include "lib/base/clock.h"


void
idle_threads_join(idle_thread_t *self)
{
    self->away = true;
    punit_clock_cond(&self->woken);
}


void
idle_threads_leave(idle_threads_t *idle, idle_thread_t *self)
{
    for (idle_thread_t **t = &idle->first; *t != NULL; t = &(*t)->next) {
        if (*t == self) {
            *t = self->next;
            break;
        }
    }

    pthread_cond_destroy(&self->woken);
}


bool
idle_threads_first(const idle_threads_t *idle, const idle_thread_t *self)
{
    return self->away || idle->first == self;
}


void
idle_threads_wait(idle_threads_t *idle, idle_thread_t *self, pthread_mutex_t *lock, double until_ms)
{
    if (self->away) {
        self->next = idle->first;
        self->away = false;
        idle->first = self;
    }

    if (idle->first == self && until_ms != 0) {
        punit_clock_wait(&self->woken, lock, until_ms);
    } else {
        pthread_cond_wait(&self->woken, lock);
    }
}


bool
idle_threads_wake(idle_threads_t *idle)
{
    idle_thread_t *t = idle->first;

    if (t == NULL) {
        return false;
    }

    idle->first = t->next;
    t->away = true;
    pthread_cond_signal(&t->woken);
    return true;
}
