#include "mover/move/handover.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/fence.h"
#include "mover/move/pull.h"
#include "mover/move/record.h"
#include "mover/move/settle.h"
#include "mover/options.h"
#include "mover/stop.h"

/* Steps in one errand: a bound for what would go round in circles. */
#define STEPS_MAX 12

#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS  60000


long
handover_age_ms(const handover_t *h)
{
    long asked = h->errand->foreign_ms > 0 ? h->errand->foreign_ms : 0;

    return asked + punit_clock_ms() - h->began_ms + 1;
}


void
handover_later(handover_t *h, long first_ms, long most_ms)
{
    h->outcome->failed = true;
    h->outcome->again_ms = backoff_ms(h->errand->tries, first_ms, most_ms);
}


bool
handover_reach(handover_t *h)
{
    if (*h->task.unit == '\0' || strcmp(h->task.unit, punit_config.unit) == 0) {
        h->outcome->spent = true;
        return false;
    }

    h->peer = peer_link(h->mover->peers, h->task.unit, &h->mover->local);

    if (h->peer != NULL && *h->task.there != '\0') {
        return true;
    }

    /* a warm copy is only worth having while its owner can be reached; a hand-over must be ended */
    if (h->peer != NULL) {
        handover_later(h, 500, 5000);
    } else if (h->task.phase >= PHASE_FENCE || h->task.state == STATE_FENCED || h->task.asked
               || h->errand->evidence)
    {
        h->outcome->failed = true;
        h->outcome->again_ms = peer_wait_ms(h->task.unit) + 1;
    }

    return false;
}


void
handover_lost(handover_t *h)
{
    if (h->peer->pg == NULL) {
        peer_failed(h->task.unit, h->peer);
        h->outcome->failed = true;
        h->outcome->again_ms = peer_wait_ms(h->task.unit) + 1;
        return;
    }

    char why[600];

    snprintf(why, sizeof(why), "%s: %s", h->task.unit, h->peer->error);
    link_settle(h->peer);

    if (link_error_passes(h->peer)) {
        handover_later(h, 100, 5000);
        return;
    }

    handover_wait(h, "peer-error", why);
}


void
handover_stuck(handover_t *h)
{
    char quoted[600];

    if (link_error_passes(&h->mover->local)) {
        punit_log(PUNIT_LOG_DEBUG, "database-error", "user=%s error=%s", h->task.user,
                  punit_log_quote(quoted, sizeof(quoted), h->mover->local.error));
        link_settle(&h->mover->local);
        handover_later(h, 100, 5000);
        return;
    }

    punit_log(PUNIT_LOG_ERROR, "database-error", "user=%s error=%s", h->task.user,
              punit_log_quote(quoted, sizeof(quoted), h->mover->local.error));
    link_settle(&h->mover->local);
    handover_later(h, WAIT_FIRST_MS, WAIT_MOST_MS);
}


void
handover_wait(handover_t *h, const char *event, const char *why)
{
    char quoted[3000];

    if (h->errand->tries == 0) {
        punit_log(PUNIT_LOG_WARN, event, "user=%s peer=%s why=%s", h->task.user, h->task.unit,
                  punit_log_quote(quoted, sizeof(quoted), why));
    }

    /* the record is for the operator: that it cannot be written now changes nothing */
    if (!record_error(&h->mover->local, &h->task, why)) {
        link_settle(&h->mover->local);
    }

    handover_later(h, WAIT_FIRST_MS, WAIT_MOST_MS);
}


void
handover_elsewhere(handover_t *h, const char *unit, long long epoch)
{
    errand_t *e = h->errand;

    if (*unit == '\0' || strcmp(unit, h->task.unit) == 0 || strcmp(unit, punit_config.unit) == 0) {
        /* nobody knows better for now: the directory or a later request will */
        handover_later(h, 500, WAIT_MOST_MS);
        return;
    }

    /* two units that name each other, while the one who is to own him has not taken him: not in a
     * circle at full speed */
    if (epoch > e->epoch) {
        h->outcome->again_ms = 0;
    } else {
        handover_later(h, 50, 5000);
    }

    snprintf(e->unit, sizeof(e->unit), "%s", unit);
    e->epoch = epoch;
}


/* A large user's rows arrive, and nobody waits for them. */
static void
rest(void *of)
{
    visitor_rest(of);
}


/* The user is to come here, or his copy is to be kept warm. */
static void
bring(handover_t *h)
{
    task_t *t = &h->task;
    bool    must = t->phase == PHASE_FENCE;
    bool    want = must || t->asked || h->errand->evidence;

    if (!handover_reach(h)) {
        return;
    }

    /* what FENCE found in the way once, a missing reference row say, PULL finds without anybody
     * waiting */
    if (t->move_epoch == 0 && h->errand->tries == 0) {
        t->move_epoch = t->unit_epoch;
    }

    /* with a copy at hand FENCE alone may be enough: one round trip, and no digest of all his rows.
     * So may it be without, if he has few rows; but who comes of his own accord has a copy by then,
     * unless he came just now. One that was sent is repeated, copy or not: its answer is what ends
     * the phase, even if he has gone elsewhere since */
    bool first = t->asked && h->errand->tries == 0;
    bool pulled = want && (must || t->ver >= 0 || first) && t->move_epoch > 0;

    for (int i = 0; i < STEPS_MAX; i++) {
        bool sent = false;

        if (!pulled) {
            /* not once FENCE was sent: then he waits */
            h->peer->pause = h->errand->paced ? rest : NULL;
            h->peer->pause_of = h->errand;

            pull_next_t next = pull_rounds(h, want);

            h->peer->pause = NULL;

            if (next == PULL_STOP || (next == PULL_DONE && !want)) {
                return;
            }

            pulled = true;
            sent = next == PULL_SENT;
        }

        switch (fence_and_activate(h, sent)) {
        case FENCE_STOP:
            return;
        case FENCE_PULL:
            pulled = false;
            break;
        case FENCE_EPOCH:
            break;
        }
    }

    handover_later(h, 200, 10000);
}


/* Requests from before an operator cancelled the move count no more, and none do at a unit that is
 * drained. */
static void
forget_requests(handover_t *h)
{
    errand_t *e = h->errand;

    if ((h->task.cancelled_ms < 0 || e->foreign_ms < h->task.cancelled_ms) && !h->task.draining) {
        return;
    }

    if (e->foreign_ms >= 0) {
        h->outcome->spent = true;
    }

    e->evidence = false;
    e->foreign_ms = -1;
}


void
handover_errand(mover_t *mover, errand_t *errand, outcome_t *outcome)
{
    handover_t h = { .mover = mover,
                     .errand = errand,
                     .outcome = outcome,
                     .began_ms = punit_clock_ms(),
                     .compared = -1 };

    if (!task_load(&h.task, &mover->local, errand)) {
        handover_stuck(&h);
        return;
    }

    if (strcmp(h.task.shape, mover->plan.shape) != 0 && !mover_replan(mover)) {
        handover_later(&h, 200, 2000);
        return;
    }

    forget_requests(&h);
    failpoint_with(h.task.unit);

    if (*h.task.pass_id != '\0') {
        settle_pass(&h);
    }

    switch (h.task.state) {
    case STATE_ERASED:
        if (h.task.phase == PHASE_RETIRE) {
            settle_retire(&h);
        } else if (!record_done(&mover->local, h.task.move_id, "erased", NULL)) {
            handover_stuck(&h);
        }

        break;

    case STATE_FENCED:
        settle_resolve(&h);
        break;

    case STATE_OWNED:
        if (h.task.phase == PHASE_RETIRE) {
            settle_retire(&h);
        } else if (h.task.phase == PHASE_REFUSE) {
            settle_refuse(&h);
        } else if (h.task.phase != PHASE_NONE) {
            settle_owned(&h);
        } else {
            outcome->spent = true;
        }

        break;

    case STATE_COPY:
        if (h.task.phase == PHASE_RETIRE) {
            settle_retire(&h);
        } else if (h.task.phase == PHASE_REFUSE) {
            settle_refuse(&h);
        } else if (h.task.phase == PHASE_COPY && h.task.draining && !h.task.asked) {
            outcome->spent = true;
        } else if (h.task.phase != PHASE_NONE || errand->foreign_ms >= 0) {
            bring(&h);
        }

        break;
    }
}
