#include "mover/move/activate.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/abort.h"
#include "mover/move/apply.h"
#include "mover/move/record.h"
#include "mover/move/retire.h"
#include "mover/move/snapshot.h"


static void
log_moved(const errand_t *e, const snapshot_t *s)
{
    punit_log(PUNIT_LOG_INFO, "moved",
              "user=%s from=%s epoch=%lld ver=%lld final=%s rows=%lld bytes=%lld pause_ms=%.1f",
              e->task.user, e->task.unit, s->epoch + 1, s->ver, s->full ? "full" : "delta", s->rows,
              s->bytes, (double) s->applied_us / 1000);
}


/* The final rows did not all come. The owner is asked again, unless it cannot give them. */
static void
unread(errand_t *e, long long epoch)
{
    char why[600];

    if (e->peer->pg == NULL || link_error_passes(e->peer)) {
        errand_peer_failed(e);
        return;
    }

    snprintf(why, sizeof(why), "%s: %s", e->task.unit, e->peer->error);
    link_settle(e->peer);
    abort_move(e, epoch, why);
}


/* The final rows are many, or the copy here is of no use any more, because a crash forgot it, say.
 * The rows come as COPYs, while the user waits. */
static bool
ask_for_copies(errand_t *e, snapshot_t *s, long long epoch)
{
    char *sql = snapshot_final_sql(e->plan, &e->task, epoch);
    bool  sent = sql != NULL && link_send(e->peer, sql);

    free(sql);
    return sent && snapshot_read(s, e->peer);
}


/* Reads the answer that precedes the final rows; false after the outcome is set. */
static bool
read_final(errand_t *e, snapshot_t *s, long long epoch)
{
    double fenced_at = punit_clock_s();

    if (!snapshot_read(s, e->peer)) {
        unread(e, epoch);
        return false;
    }

    link_settle(e->peer);

    if (s->result == SNAPSHOT_OK && s->delta == NULL && !ask_for_copies(e, s, epoch)) {
        unread(e, epoch);
        return false;
    }

    if (s->result == SNAPSHOT_SHAPE) {
        link_settle(e->peer);
        abort_move(e, epoch, "the tables that move have changed since FENCE");
        return false;
    }

    if (s->result != SNAPSHOT_OK) {
        /* RETIRE or RESOLVE came between the two. What the owner says next time decides. */
        link_settle(e->peer);
        errand_retry(e, 50, 5000);
        return false;
    }

    s->fenced_at = fenced_at;
    return true;
}


static void
activated(errand_t *e, const snapshot_t *s, long long epoch, bool noted)
{
    log_moved(e, s);
    e->outcome->spent = true;
    e->task.phase = PHASE_RETIRE;
    e->task.move_epoch = epoch;

    if (!noted && !record_audit(e->local, &e->task)) {
        errand_local_failed(e);
        return;
    }

    retire_tell(e);
}


void
activate_here(errand_t *e, long long epoch)
{
    snapshot_t     s;
    apply_t        a;
    apply_result_t result;

    if (!read_final(e, &s, epoch)) {
        return;
    }

    /* The record has what the auditor needs if all rows are compared with this answer, or if they
     * were compared at this very ver. */
    bool noted = s.full || s.delta == NULL || s.ver == e->compared;

    /* Spoiled: the digest differs from the rows' digest. */
    if (FAILPOINT("fence.read", e->peer)) {
        snprintf(s.digest, sizeof(s.digest), "-1");
    }

    if (s.delta != NULL) {
        result = apply_delta(&a, e->local, e->plan, &e->task, &s, epoch + 1);
    } else {
        result = apply_snapshot(&a, e->local, e->peer, e->plan, &e->task, &s, epoch + 1);
    }

    snapshot_free(&s);

    switch (result) {
    case APPLY_OK:
        activated(e, &s, epoch, noted);
        break;

    case APPLY_NOTHING:
        /* OWNED, or refused: what the row here says now decides. */
        errand_retry(e, 10, 1000);
        break;

    case APPLY_REFERENCE:
    case APPLY_BROKEN:
        abort_move(e, epoch, a.answer);
        break;

    case APPLY_LATER:
        if (a.failed || !link_ready(e->local)) {
            errand_local_failed(e);
        } else {
            unread(e, epoch);
        }

        break;
    }
}
