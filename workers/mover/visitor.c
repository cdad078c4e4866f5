#include "mover/visitor.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "mover/options.h"
#include "mover/stop.h"

#define BUCKETS     4096
#define NOT_QUEUED  (-1L)

typedef struct visitor visitor_t;

struct visitor {
    visitor_t  *next;               /* of its bucket */
    errand_t    errand;
    long        foreign_at;         /* 0: none */
    long        due;                /* valid while queued */
    long        place;              /* in the heap, NOT_QUEUED */
    bool        taken;
    bool        again;              /* reported while taken */
    int         nseen;              /* requests in `seen`, a ring of the last options.after */
    int         last;
    long        seen[];             /* when they came */
};

static pthread_mutex_t  lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t   changed;
static pthread_once_t   once = PTHREAD_ONCE_INIT;
static visitor_t       *buckets[BUCKETS];
static visitor_t      **heap;       /* by due time */
static long             queued, room, known;


static void
init(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attr);
    pthread_condattr_destroy(&attr);
}


static void *
need(void *memory)
{
    if (memory == NULL) {
        punit_log(PUNIT_LOG_ERROR, "out-of-memory", "known=%ld", known);
        abort();
    }

    return memory;
}


static visitor_t **
find(const char *user)
{
    uint32_t h = 2166136261u;

    for (const char *p = user; *p != '\0'; p++) {
        h = (h ^ (unsigned char) *p) * 16777619u;
    }

    visitor_t **v = &buckets[h % BUCKETS];

    while (*v != NULL && strcmp((*v)->errand.user, user) != 0) {
        v = &(*v)->next;
    }

    return v;
}


static visitor_t *
meet(const char *user)
{
    visitor_t **v = find(user);

    if (*v == NULL) {
        *v = need(calloc(1, sizeof(visitor_t) + (size_t) options.after * sizeof(long)));
        strcpy((*v)->errand.user, user);
        (*v)->place = NOT_QUEUED;
        known++;
    }

    return *v;
}


static void
put(long place, visitor_t *v)
{
    heap[place] = v;
    v->place = place;
}


/* Moves the visitor at `place` to where its due time belongs. */
static void
settle(long place)
{
    visitor_t *v = heap[place];

    while (place > 0 && heap[(place - 1) / 2]->due > v->due) {
        put(place, heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }

    for (;;) {
        long child = 2 * place + 1;

        if (child + 1 < queued && heap[child + 1]->due < heap[child]->due) {
            child++;
        }

        if (child >= queued || heap[child]->due >= v->due) {
            break;
        }

        put(place, heap[child]);
        place = child;
    }

    put(place, v);
}


/* Queues, or brings forward: a visitor who waits already never waits longer for being asked again. */
static void
enqueue(visitor_t *v, long due)
{
    if (v->place != NOT_QUEUED) {
        if (due >= v->due) {
            return;
        }
    } else {
        if (queued == room) {
            room = room ? 2 * room : 64;
            heap = need(realloc(heap, (size_t) room * sizeof(*heap)));
        }

        put(queued++, v);
    }

    v->due = due;
    settle(v->place);
    pthread_cond_signal(&changed);
}


static void
dequeue_first(void)
{
    visitor_t *first = heap[0];

    first->place = NOT_QUEUED;
    queued--;

    if (queued > 0) {
        put(0, heap[queued]);
        settle(0);
    }
}


static bool
has_evidence(const visitor_t *v, long now)
{
    /* the ring is full and its oldest is within the window */
    return v->nseen == options.after
           && now - v->seen[(v->last + 1) % options.after] <= options.window_ms;
}


void
visitor_reported(const report_t *report)
{
    long now = punit_clock_ms();

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    visitor_t *v = meet(report->user);

    if (report->epoch >= v->errand.epoch) {
        memcpy(v->errand.unit, report->unit, UNIT_SIZE);
        v->errand.epoch = report->epoch;
    }

    for (long i = 0; i < report->count && i < options.after; i++) {
        v->last = (v->last + 1) % options.after;
        v->seen[v->last] = now;
        v->nseen += v->nseen < options.after;
    }

    v->foreign_at = now;

    /* after a failure the back-off stands, whoever asks */
    if (v->taken) {
        v->again = true;
    } else if (v->place == NOT_QUEUED) {
        enqueue(v, now);
    }

    pthread_mutex_unlock(&lock);
}


void
visitor_call(const char *user)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    visitor_t *v = meet(user);

    if (!v->taken && v->place == NOT_QUEUED) {
        enqueue(v, punit_clock_ms());
    }

    pthread_mutex_unlock(&lock);
}


bool
visitor_take(errand_t *errand)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    while (!stopping()) {
        long now = punit_clock_ms();

        if (queued > 0 && heap[0]->due <= now) {
            visitor_t *v = heap[0];

            dequeue_first();
            v->taken = true;
            v->again = false;
            *errand = v->errand;
            errand->evidence = has_evidence(v, now);
            errand->foreign_ms = v->foreign_at ? now - v->foreign_at : -1;

            if (queued > 0) {
                pthread_cond_signal(&changed);
            }

            pthread_mutex_unlock(&lock);
            return true;
        }

        if (queued == 0) {
            pthread_cond_wait(&changed, &lock);
        } else {
            struct timespec at = { heap[0]->due / 1000, heap[0]->due % 1000 * 1000000 };

            pthread_cond_timedwait(&changed, &lock, &at);
        }
    }

    pthread_mutex_unlock(&lock);
    return false;
}


void
visitor_done(const errand_t *errand, const outcome_t *outcome)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    visitor_t *v = *find(errand->user);

    v->taken = false;
    v->errand.tries = outcome->failed ? errand->tries + 1 : 0;
    v->errand.busy = outcome->spent ? 0 : errand->busy;

    /* a report that came meanwhile knows better, if its epoch is higher */
    if (errand->epoch >= v->errand.epoch) {
        memcpy(v->errand.unit, errand->unit, UNIT_SIZE);
        v->errand.epoch = errand->epoch;
    }

    if (outcome->spent && !v->again) {
        v->nseen = 0;
    }

    if (outcome->again_ms >= 0) {
        enqueue(v, now + outcome->again_ms);
    } else if (v->again) {
        enqueue(v, now);
    }

    pthread_mutex_unlock(&lock);
}


long
visitor_sweep(void)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    for (int i = 0; i < BUCKETS; i++) {
        for (visitor_t **v = &buckets[i]; *v != NULL;) {
            visitor_t *old = *v;

            if (old->taken || old->place != NOT_QUEUED
                || (old->foreign_at != 0 && now - old->foreign_at <= options.window_ms))
            {
                v = &old->next;
                continue;
            }

            *v = old->next;
            free(old);
            known--;
        }
    }

    long n = known;

    pthread_mutex_unlock(&lock);
    return n;
}


void
visitor_stop(void)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}


long
backoff_ms(int tries, long first, long most)
{
    long ms = first;

    while (tries-- > 0 && ms < most) {
        ms *= 2;
    }

    return ms < most ? ms : most;
}
