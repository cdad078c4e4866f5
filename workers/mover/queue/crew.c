#include "mover/queue/crew.h"

#include <stddef.h>

#include "lib/base/clock.h"


void
crew_join(hand_t *self)
{
    self->away = true;
    punit_clock_cond(&self->called);
}


void
crew_leave(crew_t *crew, hand_t *self)
{
    for (hand_t **h = &crew->waiting; *h != NULL; h = &(*h)->next) {
        if (*h == self) {
            *h = self->next;
            break;
        }
    }

    pthread_cond_destroy(&self->called);
}


bool
crew_first(const crew_t *crew, const hand_t *self)
{
    return self->away || crew->waiting == self;
}


void
crew_wait(crew_t *crew, hand_t *self, pthread_mutex_t *lock, double until_ms)
{
    if (self->away) {
        self->next = crew->waiting;
        self->away = false;
        crew->waiting = self;
    }

    if (crew->waiting == self && until_ms != 0) {
        punit_clock_wait(&self->called, lock, until_ms);
    } else {
        pthread_cond_wait(&self->called, lock);
    }
}


bool
crew_call(crew_t *crew)
{
    hand_t *h = crew->waiting;

    if (h == NULL) {
        return false;
    }

    crew->waiting = h->next;
    h->away = true;
    pthread_cond_signal(&h->called);
    return true;
}
