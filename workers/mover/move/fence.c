#include "mover/move/fence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mover/failpoint.h"
#include "mover/move/abort.h"
#include "mover/move/activate.h"
#include "mover/move/record.h"
#include "mover/move/snapshot.h"
#include "mover/stop.h"

typedef struct {
    char      result[16];
    long long epoch;
    long      wait_ms, seen_ms;
    char      unit[UNIT_SIZE];
    long long unit_epoch;
    char      detail[2048];
} verdict_t;


/* Reads BEGIN, the row of punit.fence and COMMIT; false when they did not all come. */
static bool
read_verdict(verdict_t *v, link_t *peer)
{
    PGresult *r = link_next(peer);

    if (r == NULL) {
        return false;
    }

    PQclear(r);
    r = link_next(peer);

    if (r == NULL || PQntuples(r) != 1) {
        PQclear(r);
        return false;
    }

    snprintf(v->result, sizeof(v->result), "%s", PQgetvalue(r, 0, 0));
    v->epoch = atoll(PQgetvalue(r, 0, 1));
    v->wait_ms = atol(PQgetvalue(r, 0, 2));
    v->seen_ms = PQgetisnull(r, 0, 3) ? -1 : atol(PQgetvalue(r, 0, 3));
    snprintf(v->unit, sizeof(v->unit), "%s", PQgetvalue(r, 0, 4));
    v->unit_epoch = atoll(PQgetvalue(r, 0, 5));
    snprintf(v->detail, sizeof(v->detail), "%s", PQgetvalue(r, 0, 6));
    PQclear(r);

    if ((r = link_next(peer)) == NULL) {
        return false;
    }

    PQclear(r);
    return true;
}


/* Reads the answer; false after the outcome is set. */
static bool
hear(errand_t *e, verdict_t *v)
{
    bool heard = e->peer->pg != NULL && read_verdict(v, e->peer);

    FAILPOINT("fence.answered", e->peer);

    if (!heard) {
        errand_peer_failed(e);
    }

    return heard;
}


/* Sets the outcome for an answer that no other message of this errand can follow. */
static void
stop(errand_t *e, const verdict_t *v, bool busy)
{
    if (busy && strcmp(v->detail, "writing") == 0) {
        errand_retry(e, v->wait_ms, 5000);
    } else if (busy) {
        errand_too_early(e, v->wait_ms, v->seen_ms);
    } else if (strcmp(v->result, "NOT_OWNER") == 0) {
        errand_redirect(e, v->unit, v->unit_epoch);
    } else if (strcmp(v->result, "SHAPE") == 0) {
        errand_shape_differs(e, v->detail);
    } else if (strcmp(v->result, "ERASED") == 0) {
        errand_end_record(e, "erased", NULL);
    } else {
        errand_blocked(e, "fence-void", v->detail);
    }
}


/* FENCE changed nothing at the owner. */
static fence_next_t
not_fenced(errand_t *e, const verdict_t *v)
{
    bool busy = strcmp(v->result, "BUSY") == 0;
    bool rows = busy && strcmp(v->detail, "rows") == 0;

    /* Without a copy, many rows do not mean that the user writes too fast. */
    if (rows && e->task.ver < 0) {
        busy = false;
    }

    link_settle(e->peer);
    FAILPOINT("unfence.commit", e->local);

    if (!record_unfence(e->local, &e->task, busy, busy || rows ? NULL : v->detail)) {
        errand_local_failed(e);
        return FENCE_STOP;
    }

    FAILPOINT("unfence.committed", e->local);

    if (e->task.phase == PHASE_FENCE) {
        e->task.phase = PHASE_COPY;
    }

    if (busy && (rows || strcmp(v->detail, "writing") == 0)) {
        e->job->busy++;
    }

    if (rows || strcmp(v->result, "STALE") == 0) {
        return FENCE_PULL;
    }

    if (strcmp(v->result, "EPOCH") == 0) {
        e->task.move_epoch = v->epoch;
        return FENCE_EPOCH;
    }

    stop(e, v, busy);
    return FENCE_STOP;
}


bool
fence_note(errand_t *e)
{
    bool cancelled;

    if (stop_begun()) {
        e->outcome->again_ms = 0;
        return false;
    }

    FAILPOINT("fence.note", e->local);

    /* From this commit on a restart repeats FENCE. */
    if (!record_fence(e->local, &e->task, e->task.move_epoch, errand_age_ms(e), &cancelled)) {
        errand_local_failed(e);
        return false;
    }

    if (cancelled) {
        /* The record says whether the old owner must be told. */
        errand_retry(e, 50, 5000);
        e->outcome->spent = true;
        return false;
    }

    e->task.phase = PHASE_FENCE;
    return true;
}


bool
fence_unnote(errand_t *e)
{
    if (!record_unfence(e->local, &e->task, false, NULL)) {
        errand_local_failed(e);
        return false;
    }

    e->task.phase = PHASE_COPY;
    return true;
}


void
fence_send(errand_t *e, const char *fork, long long ver)
{
    char *sql = snapshot_fence_sql(e->plan, &e->task, fork, ver, e->task.move_epoch, e->job->busy);

    FAILPOINT("fence.send", e->peer);

    if (sql != NULL && e->peer->pg != NULL) {
        link_send(e->peer, sql);
    }

    FAILPOINT("fence.sent", e->peer);
    free(sql);
}


void
fence_withdraw(errand_t *e, const char *why)
{
    verdict_t v = { .epoch = e->task.move_epoch };

    if (!hear(e, &v)) {
        return;
    }

    if (strcmp(v.result, "FENCED") != 0) {
        not_fenced(e, &v);
        return;
    }

    link_settle(e->peer);
    abort_move(e, e->task.move_epoch, why);
}


fence_next_t
fence_and_activate(errand_t *e, bool sent)
{
    verdict_t v = { .epoch = e->task.move_epoch };

    if (!sent) {
        if (!fence_note(e)) {
            return FENCE_STOP;
        }

        fence_send(e, e->task.fork, e->task.ver);
    }

    if (!hear(e, &v)) {
        return FENCE_STOP;
    }

    if (strcmp(v.result, "FENCED") != 0) {
        return not_fenced(e, &v);
    }

    /* The epoch that was asked for, whatever the peer answers. */
    activate_here(e, e->task.move_epoch);
    return FENCE_STOP;
}
