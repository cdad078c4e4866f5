#include "mover/move/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/apply.h"
#include "mover/move/fence.h"
#include "mover/move/record.h"
#include "mover/stop.h"

/* A round that was this short is the last: FENCE sends the rest while the user waits. */
#define SHORT_MS   25
#define SHORT_ROWS 100
#define ROUNDS_MAX 10

/* To compare so many rows takes no longer than FENCE is under way. */
#define EARLY_ROWS 2000


void
pull_not_yet(handover_t *h, long wait_ms, long seen_ms)
{
    /* he went back after his last request here: only another request here can call him again */
    if (seen_ms >= 0 && h->errand->foreign_ms >= 0
        && seen_ms < h->errand->foreign_ms + (punit_clock_ms() - h->began_ms))
    {
        h->outcome->spent = true;
        return;
    }

    h->outcome->again_ms = wait_ms > 0 ? wait_ms + 5 : 100;
}


void
pull_shape(handover_t *h, const char *there)
{
    char      why[8192];
    PGresult *row = link_call(&h->mover->local, "select punit.shape()", 0, NULL);

    if (row == NULL) {
        handover_stuck(h);
        return;
    }

    snprintf(why, sizeof(why), "the tables that move differ\nhere:\n%s\nat %s:\n%s",
             PQgetvalue(row, 0, 0), h->task.unit, there);
    PQclear(row);
    handover_wait(h, "shape-differs", why);
}


/* What the answer means when it brings no rows. */
static pull_next_t
without_rows(handover_t *h, const snapshot_t *s)
{
    switch (s->result) {
    case PULL_FENCED:
        h->task.move_epoch = s->epoch;
        return PULL_FENCE;

    case PULL_NOT_OWNER:
        handover_elsewhere(h, s->unit, s->unit_epoch);
        return PULL_STOP;

    case PULL_SHAPE:
        pull_shape(h, s->detail);
        return PULL_STOP;

    case PULL_ERASED:
        /* the message comes here too, by the outbox; until then the copy is nobody's */
        if (!record_done(&h->mover->local, h->task.move_id, "erased", NULL)) {
            handover_stuck(h);
        }

        h->outcome->spent = true;
        return PULL_STOP;

    default:
        handover_wait(h, "pull-void", s->detail);
        return PULL_STOP;
    }
}


/* FENCE was noted, and is not sent after all. */
static bool
unnote(handover_t *h)
{
    if (!record_unfence(&h->mover->local, &h->task, false, NULL)) {
        handover_stuck(h);
        return false;
    }

    h->task.phase = PHASE_COPY;
    return true;
}


/* What was put in and compared became of it. early: FENCE was noted in the record; sent: and is
 * under way. */
static pull_next_t
applied(handover_t *h, const apply_t *a, apply_result_t result, const snapshot_t *s, bool early,
        bool sent)
{
    bool never = result == APPLY_REFERENCE || result == APPLY_BROKEN;

    if (never && sent) {
        fence_withdraw(h, a->answer);
        return PULL_STOP;
    }

    if (result != APPLY_OK && sent) {
        /* the record says that FENCE is to be repeated */
        link_settle(h->peer);
    }

    if (never && early && !unnote(h)) {
        return PULL_STOP;
    }

    switch (result) {
    case APPLY_OK:
        h->task.ver = s->ver;
        h->compared = s->ver;
        memcpy(h->task.fork, s->fork, sizeof(h->task.fork));
        punit_log(PUNIT_LOG_DEBUG, "pulled",
                  "user=%s from=%s mode=%s base=%lld ver=%lld rows=%lld bytes=%lld", h->task.user,
                  h->task.unit, s->full ? "full" : "delta", s->base, s->ver, s->rows, s->bytes);
        return sent ? PULL_SENT : PULL_DONE;

    case APPLY_REFERENCE:
        handover_wait(h, "reference-missing", a->answer);
        return PULL_STOP;

    case APPLY_BROKEN:
        handover_wait(h, "pull-broken", a->answer);
        return PULL_STOP;

    case APPLY_NOTHING:
        /* the row here changed while the answer was under way: begin again from what it says now */
        handover_later(h, 10, 1000);
        return PULL_STOP;

    default:
        if (a->failed || !link_ready(&h->mover->local)) {
            handover_stuck(h);
        } else {
            handover_lost(h);
        }

        return PULL_STOP;
    }
}


/* What T writes down while the owner reads for a PULL, on which nothing hangs there: the move's
 * record. If FENCE may follow at once, this is its note. */
static bool
note(handover_t *h, bool begin, bool early)
{
    if (early) {
        return fence_note(h);
    }

    if (begin && !record_begin(&h->mover->local, &h->task)) {
        handover_stuck(h);
        return false;
    }

    return true;
}


/* One PULL; *s is its answer when it came. begin: the move's record is still to be made. want:
 * FENCE follows. If nothing speaks against it, it is sent before the rows are compared and
 * committed here: that the copy is there to build upon is soon enough when the answer comes. */
static pull_next_t
pull_once(handover_t *h, snapshot_t *s, bool begin, bool want)
{
    char   *sql = snapshot_pull_sql(&h->mover->plan, &h->task);
    bool    early = want && h->errand->tries == 0 && h->errand->busy == 0 && h->task.move_epoch > 0;
    bool    fencing = false;
    apply_t a;
    apply_result_t result;

    if (sql == NULL) {
        handover_later(h, 1000, 10000);
        return PULL_STOP;
    }

    FAILPOINT("pull.send", h->peer);

    bool sent = link_send(h->peer, sql);

    FAILPOINT("pull.sent", h->peer);
    free(sql);

    if (sent && !note(h, begin, early)) {
        link_settle(h->peer);
        return PULL_STOP;
    }

    sent = sent && snapshot_read(s, h->peer);
    FAILPOINT("pull.answered", h->peer);

    if (!sent) {
        handover_lost(h);
        return PULL_STOP;
    }

    bool now = early && s->result == PULL_OK && s->epoch == h->task.move_epoch && *s->due == '\0'
               && (h->task.asked || s->wait_ms == 0);

    if (early && !now && !unnote(h)) {
        link_settle(h->peer);
        return PULL_STOP;
    }

    if (s->result != PULL_OK || (!s->full && s->base == s->ver)) {
        link_settle(h->peer);

        if (h->peer->pg == NULL) {
            handover_lost(h);
            return PULL_STOP;
        }

        h->task.move_epoch = s->epoch;
        return s->result == PULL_OK ? PULL_DONE : without_rows(h, s);
    }

    /* for whoever watches: how much is to come, while it comes. A link that broke over it shows in
     * the next step */
    if (*s->due != '\0' && !record_due(&h->mover->local, &h->task, s->due)) {
        link_settle(h->peer);
        handover_stuck(h);
        return PULL_STOP;
    }

    h->task.move_epoch = s->epoch;
    result = apply_rows(&a, &h->mover->local, h->peer, &h->mover->plan, &h->task, s, 0);

    if (result == APPLY_OK) {
        if (now && s->rows <= EARLY_ROWS && apply_has_references(&a)) {
            fence_send(h, s->fork, s->ver);
            fencing = true;
        }

        result = apply_close(&a);
    }

    snapshot_free(s);
    return applied(h, &a, result, s, now, fencing);
}


pull_next_t
pull_rounds(handover_t *h, bool want)
{
    snapshot_t  s = { .wait_ms = 0 };
    pull_next_t next = PULL_DONE;

    /* more rounds do not help against somebody whom FENCE found too fast: the next one slows him
     * (punit.fence) */
    int most = h->errand->busy > 0 ? 1 : ROUNDS_MAX;

    for (int round = 0; round < most && next == PULL_DONE && !stop_now(); round++) {
        long began = punit_clock_ms();

        next = pull_once(h, &s, round == 0 && *h->task.move_id == '\0', want);

        if (next == PULL_DONE && (s.rows < SHORT_ROWS || punit_clock_ms() - began < SHORT_MS)) {
            break;
        }
    }

    if (next == PULL_DONE && want && !h->task.asked && s.wait_ms > 0) {
        pull_not_yet(h, s.wait_ms, s.seen_ms);
        return PULL_STOP;
    }

    return next;
}
