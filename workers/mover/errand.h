/* Errand: one job of the queue under way at a mover thread, and what its steps share. A step that
 * ends the errand sets the outcome: when to look after the user again, and why. */
#ifndef PUNIT_MOVER_ERRAND_H
#define PUNIT_MOVER_ERRAND_H

#include "mover/link.h"
#include "mover/move/plan.h"
#include "mover/move/task.h"
#include "mover/peer.h"
#include "mover/queue/queue.h"

typedef struct {
    job_t     *job;
    outcome_t *outcome;
    link_t    *local; /* This unit's database. */
    plan_t    *plan;
    peers_t   *peers;
    task_t     task;
    link_t    *peer; /* The connection to task.unit. */
    long       began_ms;

    /* This errand compared all rows here at this ver, and the move's record says so; -1: none. */
    long long compared;
} errand_t;

/* Time since the event that calls for this move: the last request here, or the errand's begin. */
long errand_age_ms(const errand_t *errand);

/* Connects to task.unit; false after the outcome is set. */
bool errand_reach(errand_t *errand);

/* The functions below set the outcome. */

/* A failure that may pass: look again after a back-off. */
void errand_retry(errand_t *errand, long first_ms, long most_ms);

/* The peer failed within a message. */
void errand_peer_failed(errand_t *errand);

/* This unit's database failed. */
void errand_local_failed(errand_t *errand);

/* An obstacle that somebody must remove. Logs `event` once, notes `why` in the move's record, and
 * backs off. */
void errand_blocked(errand_t *errand, const char *event, const char *why);

/* The shapes of the moved tables differ. The log and the record name both. */
void errand_shape_differs(errand_t *errand, const char *there);

/* The peer is not the owner: it names `unit` as the owner at `epoch`, or gives no usable answer. */
void errand_redirect(errand_t *errand, const char *unit, long long epoch);

/* FENCE must wait, because the user is not quiet at the owner or has to dwell there (BUSY).
 * seen_ms: since the owner saw the user last; -1: not lately. */
void errand_too_early(errand_t *errand, long wait_ms, long seen_ms);

/* Ends the move's record. result: a value of punit.move.result. error: NULL keeps the noted text.
 */
void errand_end_record(errand_t *errand, const char *result, const char *error);

#endif
