#include "mover/queue/queue.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/options.h"
#include "mover/queue/heap.h"
#include "mover/queue/idle_threads.h"
#include "mover/stop.h"

#define BUCKETS 4096

/* A rest in the middle of a job needs at least so much work. */
#define REST_AFTER_MS 20

/* Transactions are open at both units during a rest, and an idle one ends after a minute. */
#define REST_MOST_MS 5000

typedef struct entry entry_t;

/* A known user. */
struct entry {
    heap_node_t node; /* First, so that a node is its entry. */
    entry_t    *next; /* Of the same bucket. */
    job_t       job;
    long        foreign_at; /* The last request here; 0: none. */
    bool        paced;      /* No user waits for the move. */
    bool        taken;
    bool        reported;  /* While a thread had the user. */
    int         nrequests; /* Times in the ring `requests`, at most options.after. */
    int         last;
    long        requests[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t  once = PTHREAD_ONCE_INIT;
static pthread_cond_t  disturbed; /* Ends the rest of a paced job. */
static idle_threads_t  idle;      /* Those that wait in queue_take. */
static int             nidle;     /* Threads within queue_take. */
static entry_t        *buckets[BUCKETS];
static heap_t          prompt, paced;
static pacer_t         pacer;
static int             paced_taken;
static long            known;


static void
init(void)
{
    punit_clock_cond(&disturbed);
    pacer_init(&pacer, options.drain_share);
}


/* A mover without its queue is of no use: the supervisor starts it again. */
static void
out_of_memory(void)
{
    punit_log(PUNIT_LOG_ERROR, "out-of-memory", "known=%ld", known);
    abort();
}


static entry_t **
find(const char *user)
{
    uint32_t h = 2166136261u;

    for (const char *p = user; *p != '\0'; p++) {
        h = (h ^ (unsigned char) *p) * 16777619u;
    }

    entry_t **e = &buckets[h % BUCKETS];

    while (*e != NULL && strcmp((*e)->job.user, user) != 0) {
        e = &(*e)->next;
    }

    return e;
}


static entry_t *
find_or_add(const char *user)
{
    entry_t **e = find(user);

    if (*e == NULL) {
        *e = calloc(1, sizeof(entry_t) + (size_t) options.after * sizeof(long));

        if (*e == NULL) {
            out_of_memory();
        }

        strcpy((*e)->job.user, user);
        known++;
    }

    return *e;
}


/* A request of the user came here within the window. */
static bool
is_here(const entry_t *e, long now)
{
    return e->foreign_at != 0 && now - e->foreign_at <= options.window_ms;
}


/* Queues the user or brings the user forward: a second call never makes a user wait longer. */
static void
enqueue(entry_t *e, long due)
{
    heap_t *heap = e->paced && !is_here(e, punit_clock_ms()) ? &paced : &prompt;

    if (e->node.heap != NULL) {
        if (e->node.heap == heap && due >= e->node.due) {
            return;
        }

        due = due < e->node.due ? due : e->node.due;
        heap_remove(&e->node);
    }

    if (!heap_reserve(heap)) {
        out_of_memory();
    }

    heap_add(heap, &e->node, due);
    idle_threads_wake(&idle);

    if (nidle == 0 && heap == &prompt) {
        pthread_cond_broadcast(&disturbed);
    }
}


/* The next user who is due. Or NULL, and *again says when to look again; 0 if only a change brings
 * a user. */
static entry_t *
next_due(double now, double *again)
{
    bool free = pacer.share == 100 || paced_taken < (options.movers > 1 ? options.movers - 1 : 1);
    heap_node_t *first = heap_first(&prompt);

    *again = 0;

    if (first != NULL) {
        if ((double) first->due <= now) {
            return (entry_t *) first;
        }

        *again = (double) first->due;
    }

    first = heap_first(&paced);

    if (first != NULL && free) {
        double due = (double) first->due;

        if (pacer.share < 100 && pacer.free_at > due) {
            due = pacer.free_at;
        }

        if (due <= now) {
            return (entry_t *) first;
        }

        if (*again == 0 || due < *again) {
            *again = due;
        }
    }

    return NULL;
}


/* The ring of requests is full, and its oldest is within the window. */
static bool
has_evidence(const entry_t *e, long now)
{
    return e->nrequests == options.after
           && now - e->requests[(e->last + 1) % options.after] <= options.window_ms;
}


void
queue_report(const report_t *report)
{
    long now = punit_clock_ms();

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    entry_t *e = find_or_add(report->user);

    if (report->epoch >= e->job.epoch) {
        memcpy(e->job.unit, report->unit, UNIT_SIZE);
        e->job.epoch = report->epoch;
    }

    for (long i = 0; i < report->count && i < options.after; i++) {
        e->last = (e->last + 1) % options.after;
        e->requests[e->last] = now;
        e->nrequests += e->nrequests < options.after;
    }

    e->foreign_at = now;

    /* A queued user keeps its due time: a request must not cut short the back-off of a failure. */
    if (e->taken) {
        e->reported = true;
        pthread_cond_broadcast(&disturbed);
    } else {
        enqueue(e, e->node.heap != NULL ? e->node.due : now);
    }

    pthread_mutex_unlock(&lock);
}


void
queue_call(const char *user, bool nobody_waits)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    entry_t *e = find_or_add(user);

    e->paced = nobody_waits;

    if (!e->taken) {
        enqueue(e, e->node.heap != NULL ? e->node.due : punit_clock_ms());
    }

    pthread_mutex_unlock(&lock);
}


/* Call with the lock held. */
static void
take(entry_t *e, job_t *job, double now)
{
    bool is_paced = e->node.heap == &paced && pacer.share < 100;

    heap_remove(&e->node);
    e->taken = true;
    e->reported = false;
    *job = e->job;
    job->evidence = has_evidence(e, (long) now);
    job->foreign_ms = e->foreign_at ? (long) now - e->foreign_at : -1;
    job->paced = is_paced;

    if (is_paced) {
        pacer_start(&pacer, &job->work, now);
        paced_taken++;
    }

    if (prompt.n + paced.n > 0) {
        idle_threads_wake(&idle);
    }
}


bool
queue_take(job_t *job)
{
    entry_t      *e = NULL;
    idle_thread_t self;
    double        again;

    pthread_once(&once, init);
    idle_threads_join(&self);
    pthread_mutex_lock(&lock);
    nidle++;

    while (!stop_begun()) {
        double now = punit_clock_fine_ms();

        again = 0;

        /* Only the first of the idle threads takes what is due. */
        if (idle_threads_first(&idle, &self) && (e = next_due(now, &again)) != NULL) {
            take(e, job, now);
            break;
        }

        idle_threads_wait(&idle, &self, &lock, again);
    }

    idle_threads_leave(&idle, &self);
    nidle--;
    pthread_mutex_unlock(&lock);
    return e != NULL;
}


void
queue_done(const job_t *job, const outcome_t *outcome)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    entry_t *e = *find(job->user);

    if (job->paced) {
        pacer_work_t work = job->work;

        pacer_end(&pacer, &work, punit_clock_fine_ms(), outcome->idle_ms);
        paced_taken--;
    }

    e->taken = false;
    e->job.tries = outcome->failed ? job->tries + 1 : 0;
    e->job.busy = outcome->spent ? 0 : job->busy;

    /* A report that came meanwhile knows the owner better if its epoch is higher. */
    if (job->epoch >= e->job.epoch) {
        memcpy(e->job.unit, job->unit, UNIT_SIZE);
        e->job.epoch = job->epoch;
    }

    if (outcome->spent && !e->reported) {
        e->nrequests = 0;
    }

    /* After a failure behind FENCE the user waits. The next sweep reads from the move's record
     * whether the move is paced. */
    if (outcome->failed) {
        e->paced = false;
    }

    if (outcome->again_ms >= 0) {
        enqueue(e, now + outcome->again_ms);
    } else if (e->reported) {
        enqueue(e, now);
    }

    pthread_mutex_unlock(&lock);
}


/* When prompt work comes due that no thread is free for, at most `end`. */
static double
next_disturbance(double end)
{
    const heap_node_t *first = heap_first(&prompt);

    return nidle == 0 && first != NULL && (double) first->due < end ? (double) first->due : end;
}


void
queue_rest(job_t *job)
{
    double now = punit_clock_fine_ms();

    if (!job->paced || now - job->work.since < REST_AFTER_MS) {
        return;
    }

    pthread_mutex_lock(&lock);

    entry_t *e = *find(job->user);
    double   rest_ms = pacer_worked(&pacer, &job->work, now, 0);
    double   end = now + (rest_ms < REST_MOST_MS ? rest_ms : REST_MOST_MS);
    double   until = next_disturbance(end);

    while (now < until && !stop_begun() && !is_here(e, (long) now)) {
        punit_clock_wait(&disturbed, &lock, until);
        now = punit_clock_fine_ms();
        until = next_disturbance(end);
    }

    job->work.since = now;
    pthread_mutex_unlock(&lock);
}


long
queue_charge(double began_ms)
{
    pacer_work_t work = { .since = began_ms };

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    double rest = pacer.share < 100 ? pacer_worked(&pacer, &work, punit_clock_fine_ms(), 0) : 0;

    pthread_mutex_unlock(&lock);
    return (long) rest;
}


long
queue_sweep(void)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    for (int i = 0; i < BUCKETS; i++) {
        for (entry_t **e = &buckets[i]; *e != NULL;) {
            entry_t *old = *e;

            if (old->taken || old->node.heap != NULL || is_here(old, now)) {
                e = &old->next;
                continue;
            }

            *e = old->next;
            free(old);
            known--;
        }
    }

    long n = known;

    pthread_mutex_unlock(&lock);
    return n;
}


void
queue_evidence(void (*tell)(const report_t *report, void *context), void *context)
{
    long now = punit_clock_ms();

    pthread_mutex_lock(&lock);

    for (int i = 0; i < BUCKETS; i++) {
        for (const entry_t *e = buckets[i]; e != NULL; e = e->next) {
            report_t report = { .kind = 'f', .epoch = e->job.epoch, .count = e->nrequests };

            if (e->nrequests > 0 && e->job.unit[0] != '\0' && is_here(e, now)) {
                strcpy(report.user, e->job.user);
                strcpy(report.unit, e->job.unit);
                tell(&report, context);
            }
        }
    }

    pthread_mutex_unlock(&lock);
}


void
queue_stop(void)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);

    while (idle_threads_wake(&idle)) {
    }

    pthread_cond_broadcast(&disturbed);
    pthread_mutex_unlock(&lock);
}
