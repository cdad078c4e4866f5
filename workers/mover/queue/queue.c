#include "mover/queue/queue.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/options.h"
#include "mover/queue/crew.h"
#include "mover/stop.h"

#define BUCKETS 4096

/* a rest in the middle of an errand: not for less work than this */
#define REST_AFTER_MS 20

/* nor for longer: transactions are open at both units, and end when nothing happens in them for a
 * minute */
#define REST_MOST_MS 5000

typedef struct visitor visitor_t;

/* By due time. */
typedef struct {
    visitor_t **at;
    long        n, room;
} queue_t;

struct visitor {
    visitor_t *next; /* of its bucket */
    errand_t   errand;
    long       foreign_at; /* 0: none */
    queue_t   *queue;      /* NULL: not queued */
    long       place;      /* in the queue */
    long       due;        /* valid while queued */
    bool       paced;      /* nobody waits for his move */
    bool       taken;
    bool       again; /* reported while taken */
    int        nseen; /* requests in `seen`, a ring of the last options.after */
    int        last;
    long       seen[]; /* when they came */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static crew_t          crew;      /* threads without an errand */
static pthread_cond_t  disturbed; /* for those that rest within one */
static pthread_once_t  once = PTHREAD_ONCE_INIT;
static visitor_t      *buckets[BUCKETS];
static queue_t         prompt, paced;
static pace_t          pace;
static int             idle; /* threads without an errand */
static int             paced_taken;
static long            known;


static void
init(void)
{
    punit_clock_cond(&disturbed);
    pace_init(&pace, options.drain_share);
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
        known++;
    }

    return *v;
}


static void
put(queue_t *q, long place, visitor_t *v)
{
    q->at[place] = v;
    v->place = place;
}


/* Moves the visitor at `place` to where its due time belongs. */
static void
settle(queue_t *q, long place)
{
    visitor_t *v = q->at[place];

    while (place > 0 && q->at[(place - 1) / 2]->due > v->due) {
        put(q, place, q->at[(place - 1) / 2]);
        place = (place - 1) / 2;
    }

    for (;;) {
        long child = 2 * place + 1;

        if (child + 1 < q->n && q->at[child + 1]->due < q->at[child]->due) {
            child++;
        }

        if (child >= q->n || q->at[child]->due >= v->due) {
            break;
        }

        put(q, place, q->at[child]);
        place = child;
    }

    put(q, place, v);
}


static void
dequeue(visitor_t *v)
{
    queue_t   *q = v->queue;
    visitor_t *last = q->at[--q->n];

    v->queue = NULL;

    if (last != v) {
        put(q, v->place, last);
        settle(q, last->place);
    }
}


/* His requests come in here, or did within the window. */
static bool
is_here(const visitor_t *v, long now)
{
    return v->foreign_at != 0 && now - v->foreign_at <= options.window_ms;
}


/* Queues, or brings forward: a visitor who waits already never waits longer for being asked again.
 */
static void
enqueue(visitor_t *v, long due)
{
    queue_t *q = v->paced && !is_here(v, punit_clock_ms()) ? &paced : &prompt;

    if (v->queue != NULL) {
        if (v->queue == q && due >= v->due) {
            return;
        }

        due = due < v->due ? due : v->due;
        dequeue(v);
    }

    if (q->n == q->room) {
        q->room = q->room ? 2 * q->room : 64;
        q->at = need(realloc(q->at, (size_t) q->room * sizeof(*q->at)));
    }

    v->queue = q;
    v->due = due;
    put(q, q->n++, v);
    settle(q, v->place);
    crew_call(&crew);

    if (idle == 0 && q == &prompt) {
        pthread_cond_broadcast(&disturbed);
    }
}


/* The next one due; or NULL, and when to look again, 0 if only a change brings one. */
static visitor_t *
next(double now, double *again)
{
    bool free = pace.share == 100 || paced_taken < (options.movers > 1 ? options.movers - 1 : 1);

    *again = 0;

    if (prompt.n > 0) {
        if ((double) prompt.at[0]->due <= now) {
            return prompt.at[0];
        }

        *again = (double) prompt.at[0]->due;
    }

    if (paced.n > 0 && free) {
        double due = (double) paced.at[0]->due;

        if (pace.share < 100 && pace.free_at > due) {
            due = pace.free_at;
        }

        if (due <= now) {
            return paced.at[0];
        }

        if (*again == 0 || due < *again) {
            *again = due;
        }
    }

    return NULL;
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
        pthread_cond_broadcast(&disturbed);
    } else {
        enqueue(v, v->queue != NULL ? v->due : now);
    }

    pthread_mutex_unlock(&lock);
}


void
visitor_call(const char *user, bool nobody_waits)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    visitor_t *v = meet(user);

    v->paced = nobody_waits;

    if (!v->taken) {
        enqueue(v, v->queue != NULL ? v->due : punit_clock_ms());
    }

    pthread_mutex_unlock(&lock);
}


/* With the lock held. */
static void
take(visitor_t *v, errand_t *errand, double now)
{
    bool whether = v->queue == &paced && pace.share < 100;

    dequeue(v);
    v->taken = true;
    v->again = false;
    *errand = v->errand;
    errand->evidence = has_evidence(v, (long) now);
    errand->foreign_ms = v->foreign_at ? (long) now - v->foreign_at : -1;
    errand->paced = whether;

    if (whether) {
        pace_start(&pace, &errand->work, now);
        paced_taken++;
    }

    if (prompt.n + paced.n > 0) {
        crew_call(&crew);
    }
}


bool
visitor_take(errand_t *errand)
{
    visitor_t *v = NULL;
    hand_t     self;
    double     again;

    pthread_once(&once, init);
    crew_join(&self);
    pthread_mutex_lock(&lock);
    idle++;

    while (!stopping()) {
        double now = punit_clock_fine_ms();

        again = 0;

        /* what is due is for the first of those who wait */
        if (crew_first(&crew, &self) && (v = next(now, &again)) != NULL) {
            take(v, errand, now);
            break;
        }

        crew_wait(&crew, &self, &lock, again);
    }

    crew_leave(&crew, &self);
    idle--;
    pthread_mutex_unlock(&lock);
    return v != NULL;
}


void
visitor_done(const errand_t *errand, const outcome_t *outcome)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    visitor_t *v = *find(errand->user);

    if (errand->paced) {
        paced_t work = errand->work;

        pace_end(&pace, &work, punit_clock_fine_ms(), outcome->idle_ms);
        paced_taken--;
    }

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

    /* it may have failed after FENCE, and then he waits: the next sweep knows from the record
     * whether somebody does */
    if (outcome->failed) {
        v->paced = false;
    }

    if (outcome->again_ms >= 0) {
        enqueue(v, now + outcome->again_ms);
    } else if (v->again) {
        enqueue(v, now);
    }

    pthread_mutex_unlock(&lock);
}


void
visitor_rest(errand_t *errand)
{
    double now = punit_clock_fine_ms();

    if (!errand->paced || now - errand->work.since < REST_AFTER_MS) {
        return;
    }

    pthread_mutex_lock(&lock);

    visitor_t *v = *find(errand->user);
    double     rest_ms = pace_worked(&pace, &errand->work, now, 0);
    double     end = now + (rest_ms < REST_MOST_MS ? rest_ms : REST_MOST_MS);

    while (now < end && !stopping() && !is_here(v, (long) now)
           && !(idle == 0 && prompt.n > 0 && (double) prompt.at[0]->due <= now))
    {
        punit_clock_wait(&disturbed, &lock,
                         idle == 0 && prompt.n > 0 && (double) prompt.at[0]->due < end
                             ? (double) prompt.at[0]->due
                             : end);
        now = punit_clock_fine_ms();
    }

    errand->work.since = now;
    pthread_mutex_unlock(&lock);
}


long
visitor_worked(double began_ms)
{
    paced_t work = { .since = began_ms };

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    double rest = pace.share < 100 ? pace_worked(&pace, &work, punit_clock_fine_ms(), 0) : 0;

    pthread_mutex_unlock(&lock);
    return (long) rest;
}


long
visitor_sweep(void)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    for (int i = 0; i < BUCKETS; i++) {
        for (visitor_t **v = &buckets[i]; *v != NULL;) {
            visitor_t *old = *v;

            if (old->taken || old->queue != NULL
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

    while (crew_call(&crew)) {
    }

    pthread_cond_broadcast(&disturbed);
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
