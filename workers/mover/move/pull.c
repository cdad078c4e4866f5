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

/* A round this short is the last: FENCE sends the rest while the user waits. */
#define SHORT_MS   25
#define SHORT_ROWS 100
#define ROUNDS_MAX 10

/* Comparing so many rows takes no longer than the round trip of FENCE. */
#define EARLY_ROWS 2000


/* What the answer means when it brings no rows. */
static pull_next_t
without_rows(errand_t *e, const snapshot_t *s)
{
    switch (s->result) {
    case SNAPSHOT_FENCED:
        e->task.move_epoch = s->epoch;
        return PULL_FENCE;

    case SNAPSHOT_NOT_OWNER:
        errand_redirect(e, s->unit, s->unit_epoch);
        return PULL_STOP;

    case SNAPSHOT_SHAPE:
        errand_shape_differs(e, s->detail);
        return PULL_STOP;

    case SNAPSHOT_ERASED:
        /* The owner's outbox brings that message here too. The copy is of no use until then. */
        errand_end_record(e, "erased", NULL);
        e->outcome->spent = true;
        return PULL_STOP;

    default:
        errand_blocked(e, "pull-void", s->detail);
        return PULL_STOP;
    }
}


/* Rows of another user came. The move ends: another request, or the operator, begins another. */
static void
foreign(errand_t *e, const char *why)
{
    char quoted[800];

    punit_log(PUNIT_LOG_ERROR, "foreign-rows", "user=%s from=%s why=%s", e->task.user, e->task.unit,
              punit_log_quote(quoted, sizeof(quoted), why));
    e->outcome->spent = true;

    if (!record_aborted(e->local, &e->task, why)) {
        errand_local_failed(e);
    }
}


/* Turns the result of applying the rows into the next step. early: FENCE is noted in the record.
 * sent: FENCE is sent too. */
static pull_next_t
next_of(errand_t *e, const apply_t *a, apply_result_t result, const snapshot_t *s, bool early,
        bool sent)
{
    bool never = result == APPLY_REFERENCE || result == APPLY_BROKEN;

    if (never && sent) {
        fence_withdraw(e, a->answer);
        return PULL_STOP;
    }

    if (result != APPLY_OK && sent) {
        /* By the record, the next errand repeats FENCE. */
        link_settle(e->peer);
    }

    if (never && early && !fence_unnote(e)) {
        return PULL_STOP;
    }

    switch (result) {
    case APPLY_OK:
        e->task.ver = s->ver;
        e->compared = s->ver;
        memcpy(e->task.fork, s->fork, sizeof(e->task.fork));
        punit_log(PUNIT_LOG_DEBUG, "pulled",
                  "user=%s from=%s mode=%s base=%lld ver=%lld rows=%lld bytes=%lld", e->task.user,
                  e->task.unit, s->full ? "full" : "delta", s->base, s->ver, s->rows, s->bytes);
        return sent ? PULL_SENT : PULL_DONE;

    case APPLY_REFERENCE:
        errand_blocked(e, "reference-missing", a->answer);
        return PULL_STOP;

    case APPLY_BROKEN:
        if (strncmp(a->answer, "FOREIGN", 7) == 0) {
            foreign(e, a->answer);
            return PULL_STOP;
        }

        errand_blocked(e, "pull-broken", a->answer);
        return PULL_STOP;

    case APPLY_NOTHING:
        /* The row here changed meanwhile: the next errand begins from what it says now. */
        errand_retry(e, 10, 1000);
        return PULL_STOP;

    default:
        if (a->failed || !link_ready(e->local)) {
            errand_local_failed(e);
        } else {
            errand_peer_failed(e);
        }

        return PULL_STOP;
    }
}


/* T writes the move's record while S reads for the PULL, whose answer does not depend on it. If
 * FENCE may follow at once, this is the note of FENCE. */
static bool
note(errand_t *e, bool begin, bool early)
{
    if (early) {
        return fence_note(e);
    }

    if (begin && !record_begin(e->local, &e->task)) {
        errand_local_failed(e);
        return false;
    }

    return true;
}


/* Sends PULL, writes the record and reads the answer; false after the outcome is set. */
static bool
ask(errand_t *e, snapshot_t *s, bool begin, bool early)
{
    char *sql = snapshot_pull_sql(e->plan, &e->task);

    if (sql == NULL) {
        errand_retry(e, 1000, 10000);
        return false;
    }

    FAILPOINT("pull.send", e->peer);

    bool sent = link_send(e->peer, sql);

    FAILPOINT("pull.sent", e->peer);
    free(sql);

    if (sent && !note(e, begin, early)) {
        link_settle(e->peer);
        return false;
    }

    sent = sent && snapshot_read(s, e->peer);
    FAILPOINT("pull.answered", e->peer);

    if (!sent) {
        errand_peer_failed(e);
    }

    return sent;
}


/* Nothing speaks against FENCE by the answer of the PULL. */
static bool
may_fence(const errand_t *e, const snapshot_t *s)
{
    return s->result == SNAPSHOT_OK && s->epoch == e->task.move_epoch && *s->due == '\0'
           && (e->task.asked || s->wait_ms == 0);
}


/* No rows follow the answer. */
static pull_next_t
end_without_rows(errand_t *e, const snapshot_t *s)
{
    link_settle(e->peer);

    if (e->peer->pg == NULL) {
        errand_peer_failed(e);
        return PULL_STOP;
    }

    e->task.move_epoch = s->epoch;
    return s->result == SNAPSHOT_OK ? PULL_DONE : without_rows(e, s);
}


/* One PULL. *s is its answer, if it came. begin: the move's record is still to be made. want: FENCE
 * follows. If nothing speaks against FENCE, it is sent before the rows are compared and committed
 * here: FENCE's answer, which builds on the copy, is read after that. */
static pull_next_t
pull_once(errand_t *e, snapshot_t *s, bool begin, bool want)
{
    bool    early = want && e->job->tries == 0 && e->job->busy == 0 && e->task.move_epoch > 0;
    bool    sent = false;
    apply_t a;

    if (!ask(e, s, begin, early)) {
        return PULL_STOP;
    }

    bool now = early && may_fence(e, s);

    if (early && !now && !fence_unnote(e)) {
        link_settle(e->peer);
        return PULL_STOP;
    }

    if (s->result != SNAPSHOT_OK || (!s->full && s->base == s->ver)) {
        return end_without_rows(e, s);
    }

    /* `punitctl moves` shows how much is to come. A link that breaks here shows in the next step.
     */
    if (*s->due != '\0' && !record_due(e->local, &e->task, s->due)) {
        link_settle(e->peer);
        errand_local_failed(e);
        return PULL_STOP;
    }

    e->task.move_epoch = s->epoch;

    apply_result_t result = apply_rows(&a, e->local, e->peer, e->plan, &e->task, s, 0);

    if (result == APPLY_OK) {
        if (now && s->rows <= EARLY_ROWS && apply_has_references(&a)) {
            fence_send(e, s->fork, s->ver);
            sent = true;
        }

        result = apply_close(&a);
    }

    snapshot_free(s);
    return next_of(e, &a, result, s, now, sent);
}


pull_next_t
pull_rounds(errand_t *e, bool want)
{
    snapshot_t  s = { .wait_ms = 0 };
    pull_next_t next = PULL_DONE;

    /* FENCE found that the user writes too fast. More rounds do not help then, but the next FENCE
     * slows the writes down (punit.fence). */
    int most = e->job->busy > 0 ? 1 : ROUNDS_MAX;

    for (int round = 0; round < most && next == PULL_DONE && !stop_now(); round++) {
        long began = punit_clock_ms();

        next = pull_once(e, &s, round == 0 && *e->task.move_id == '\0', want);

        if (next == PULL_DONE && (s.rows < SHORT_ROWS || punit_clock_ms() - began < SHORT_MS)) {
            break;
        }
    }

    if (next == PULL_DONE && want && !e->task.asked && s.wait_ms > 0) {
        errand_too_early(e, s.wait_ms, s.seen_ms);
        return PULL_STOP;
    }

    return next;
}
