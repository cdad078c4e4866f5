#include "mover/move/fence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/apply.h"
#include "mover/move/pull.h"
#include "mover/move/settle.h"
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


/* FENCE changed nothing at the owner. */
static fence_next_t
not_fenced(handover_t *h, const verdict_t *v)
{
    bool busy = strcmp(v->result, "BUSY") == 0;
    bool rows = busy && strcmp(v->detail, "rows") == 0;

    /* that there are many rows, and no copy, is nobody's writing too fast */
    if (rows && h->task.ver < 0) {
        busy = false;
    }

    link_settle(h->peer);
    FAILPOINT("unfence.commit", &h->mover->local);

    if (!record_unfence(&h->mover->local, &h->task, busy, busy || rows ? NULL : v->detail)) {
        handover_stuck(h);
        return FENCE_STOP;
    }

    FAILPOINT("unfence.committed", &h->mover->local);

    if (h->task.phase == PHASE_FENCE) {
        h->task.phase = PHASE_COPY;
    }

    if (busy && (rows || strcmp(v->detail, "writing") == 0)) {
        h->errand->busy++;
    }

    if (rows || strcmp(v->result, "STALE") == 0) {
        return FENCE_PULL;
    }

    if (strcmp(v->result, "EPOCH") == 0) {
        h->task.move_epoch = v->epoch;
        return FENCE_EPOCH;
    }

    if (busy && strcmp(v->detail, "writing") == 0) {
        handover_later(h, v->wait_ms, 5000);
    } else if (busy) {
        pull_not_yet(h, v->wait_ms, v->seen_ms);
    } else if (strcmp(v->result, "NOT_OWNER") == 0) {
        handover_elsewhere(h, v->unit, v->unit_epoch);
    } else if (strcmp(v->result, "SHAPE") == 0) {
        pull_shape(h, v->detail);
    } else if (strcmp(v->result, "ERASED") == 0) {
        if (!record_done(&h->mover->local, h->task.move_id, "erased", NULL)) {
            handover_stuck(h);
        }
    } else {
        handover_wait(h, "fence-void", v->detail);
    }

    return FENCE_STOP;
}


/* What FENCE sent cannot become this unit's: refuse the epoch for good, then say so. */
static void
abort_move(handover_t *h, long long epoch, const char *why)
{
    bool refused;
    char quoted[800];

    punit_log(PUNIT_LOG_ERROR, "move-aborted", "user=%s from=%s epoch=%lld why=%s", h->task.user,
              h->task.unit, epoch + 1, punit_log_quote(quoted, sizeof(quoted), why));

    FAILPOINT("refuse.commit", &h->mover->local);

    if (!record_refuse(&h->mover->local, &h->task, epoch + 1, why, &refused)) {
        handover_stuck(h);
        return;
    }

    FAILPOINT("refuse.committed", &h->mover->local);

    if (!refused) {
        h->outcome->again_ms = 0;
        return;
    }

    h->task.phase = PHASE_REFUSE;
    h->task.move_epoch = epoch;
    settle_refuse(h);
}


static void
log_moved(const handover_t *h, const snapshot_t *s)
{
    punit_log(PUNIT_LOG_INFO, "moved",
              "user=%s from=%s epoch=%lld ver=%lld final=%s rows=%lld bytes=%lld pause_ms=%.1f",
              h->task.user, h->task.unit, s->epoch + 1, s->ver, s->full ? "full" : "delta", s->rows,
              s->bytes, (double) s->applied_us / 1000);
}


/* The final rows did not all come: they are asked for again, unless the owner cannot give them. */
static void
unread(handover_t *h, long long epoch)
{
    char why[600];

    if (h->peer->pg == NULL || link_error_passes(h->peer)) {
        handover_lost(h);
        return;
    }

    snprintf(why, sizeof(why), "%s: %s", h->task.unit, h->peer->error);
    link_settle(h->peer);
    abort_move(h, epoch, why);
}


/* The copy here is of no use any more (a crash forgot it, say): all his rows, while he waits. */
static bool
ask_for_all(handover_t *h, snapshot_t *s, long long epoch)
{
    char *sql = snapshot_final_sql(&h->mover->plan, &h->task, epoch);
    bool  sent = sql != NULL && link_send(h->peer, sql);

    free(sql);
    return sent && snapshot_read(s, h->peer);
}


/* Takes the final rows and activates. */
static void
activate(handover_t *h, const verdict_t *v)
{
    snapshot_t     s;
    apply_t        a;
    apply_result_t result;
    link_t        *local = &h->mover->local;
    double         fenced_at = punit_clock_s();

    if (!snapshot_read(&s, h->peer)) {
        unread(h, v->epoch);
        return;
    }

    link_settle(h->peer);

    if (s.result == PULL_OK && s.delta == NULL && !ask_for_all(h, &s, v->epoch)) {
        unread(h, v->epoch);
        return;
    }

    if (s.result == PULL_SHAPE) {
        link_settle(h->peer);
        abort_move(h, v->epoch, "the tables that move have changed since FENCE");
        return;
    }

    if (s.result != PULL_OK) {
        /* retired or resolved between the two: what the owner says next time decides */
        link_settle(h->peer);
        handover_later(h, 50, 5000);
        return;
    }

    s.fenced_at = fenced_at;

    /* all of his rows are compared with this answer, or were at this very ver: the record has what
     * the auditor needs */
    bool noted = s.full || s.delta == NULL || s.ver == h->compared;

    /* spoiled: another digest than the rows have */
    if (FAILPOINT("fence.read", h->peer)) {
        snprintf(s.digest, sizeof(s.digest), "-1");
    }

    if (s.delta != NULL) {
        result = apply_delta(&a, local, &h->mover->plan, &h->task, &s, v->epoch + 1);
    } else {
        result = apply_snapshot(&a, local, h->peer, &h->mover->plan, &h->task, &s, v->epoch + 1);
    }

    snapshot_free(&s);

    switch (result) {
    case APPLY_OK:
        log_moved(h, &s);
        h->outcome->spent = true;
        h->task.phase = PHASE_RETIRE;
        h->task.move_epoch = v->epoch;

        if (!noted && !record_audit(local, &h->task)) {
            handover_stuck(h);
            return;
        }

        settle_retire(h);
        break;

    case APPLY_NOTHING:
        /* OWNED, or refused: what the row here says now decides */
        handover_later(h, 10, 1000);
        break;

    case APPLY_REFERENCE:
    case APPLY_BROKEN:
        abort_move(h, v->epoch, a.answer);
        break;

    case APPLY_LATER:
        if (a.failed || !link_ready(local)) {
            handover_stuck(h);
        } else {
            unread(h, v->epoch);
        }

        break;
    }
}


bool
fence_note(handover_t *h)
{
    bool cancelled;

    if (stopping()) {
        h->outcome->again_ms = 0;
        return false;
    }

    FAILPOINT("fence.note", &h->mover->local);

    /* from this commit on a restart repeats FENCE */
    if (!record_fence(&h->mover->local, &h->task, h->task.move_epoch, handover_age_ms(h),
                      &cancelled)) {
        handover_stuck(h);
        return false;
    }

    if (cancelled) {
        /* if there is something left to tell the old owner, the record says so */
        handover_later(h, 50, 5000);
        h->outcome->spent = true;
        return false;
    }

    h->task.phase = PHASE_FENCE;
    return true;
}


void
fence_send(handover_t *h, const char *fork, long long ver)
{
    char *sql = snapshot_fence_sql(&h->mover->plan, &h->task, fork, ver, h->task.move_epoch,
                                   h->errand->busy);

    FAILPOINT("fence.send", h->peer);

    if (sql != NULL && h->peer->pg != NULL) {
        link_send(h->peer, sql);
    }

    FAILPOINT("fence.sent", h->peer);
    free(sql);
}


/* Reads the answer; false after having set the outcome. */
static bool
hear(handover_t *h, verdict_t *v)
{
    bool heard = h->peer->pg != NULL && read_verdict(v, h->peer);

    FAILPOINT("fence.answered", h->peer);

    if (!heard) {
        handover_lost(h);
    }

    return heard;
}


void
fence_withdraw(handover_t *h, const char *why)
{
    verdict_t v = { .epoch = h->task.move_epoch };

    if (!hear(h, &v)) {
        return;
    }

    if (strcmp(v.result, "FENCED") != 0) {
        not_fenced(h, &v);
        return;
    }

    link_settle(h->peer);
    abort_move(h, v.epoch, why);
}


fence_next_t
fence_and_activate(handover_t *h, bool sent)
{
    verdict_t v = { .epoch = h->task.move_epoch };

    if (!sent) {
        if (!fence_note(h)) {
            return FENCE_STOP;
        }

        fence_send(h, h->task.fork, h->task.ver);
    }

    if (!hear(h, &v)) {
        return FENCE_STOP;
    }

    if (strcmp(v.result, "FENCED") != 0) {
        return not_fenced(h, &v);
    }

    activate(h, &v);
    return FENCE_STOP;
}
