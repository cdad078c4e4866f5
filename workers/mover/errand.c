#include "mover/errand.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/move/record.h"

#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS  60000


long
errand_age_ms(const errand_t *e)
{
    long asked = e->job->foreign_ms > 0 ? e->job->foreign_ms : 0;

    return asked + punit_clock_ms() - e->began_ms + 1;
}


void
errand_retry(errand_t *e, long first_ms, long most_ms)
{
    e->outcome->failed = true;
    e->outcome->again_ms = punit_backoff_ms(e->job->tries, first_ms, most_ms);
}


/* Look again as soon as the peer may be tried again. */
static void
retry_peer(errand_t *e)
{
    e->outcome->failed = true;
    e->outcome->again_ms = peer_wait_ms(e->task.unit) + 1;
}


bool
errand_reach(errand_t *e)
{
    if (*e->task.unit == '\0' || strcmp(e->task.unit, punit_config.unit) == 0) {
        e->outcome->spent = true;
        return false;
    }

    e->peer = peer_link(e->peers, e->task.unit, e->local);

    if (e->peer != NULL && *e->task.there != '\0') {
        return true;
    }

    /* Only a hand-over is worth a retry. A warm copy waits for the next request. */
    if (e->peer != NULL) {
        errand_retry(e, 500, 5000);
    } else if (e->task.phase >= PHASE_FENCE || e->task.state == STATE_FENCED || e->task.asked
               || e->job->evidence)
    {
        retry_peer(e);
    }

    return false;
}


void
errand_peer_failed(errand_t *e)
{
    char why[600];

    if (e->peer->pg == NULL) {
        peer_failed(e->task.unit, e->peer);
        retry_peer(e);
        return;
    }

    snprintf(why, sizeof(why), "%s: %s", e->task.unit, e->peer->error);
    link_settle(e->peer);

    if (link_error_passes(e->peer)) {
        errand_retry(e, 100, 5000);
        return;
    }

    errand_blocked(e, "peer-error", why);
}


void
errand_local_failed(errand_t *e)
{
    bool passes = link_error_passes(e->local);
    char quoted[600];

    punit_log(passes ? PUNIT_LOG_DEBUG : PUNIT_LOG_ERROR, "database-error", "user=%s error=%s",
              e->task.user, punit_log_quote(quoted, sizeof(quoted), e->local->error));
    link_settle(e->local);

    if (passes) {
        errand_retry(e, 100, 5000);
    } else {
        errand_retry(e, WAIT_FIRST_MS, WAIT_MOST_MS);
    }
}


void
errand_blocked(errand_t *e, const char *event, const char *why)
{
    char quoted[3000];

    if (e->job->tries == 0) {
        punit_log(PUNIT_LOG_WARN, event, "user=%s peer=%s why=%s", e->task.user, e->task.unit,
                  punit_log_quote(quoted, sizeof(quoted), why));
    }

    /* The note is for the operator alone: the move goes on without it. */
    if (!record_error(e->local, &e->task, why)) {
        link_settle(e->local);
    }

    errand_retry(e, WAIT_FIRST_MS, WAIT_MOST_MS);
}


void
errand_shape_differs(errand_t *e, const char *there)
{
    char      why[8192];
    PGresult *row = link_call(e->local, "select punit.shape()", 0, NULL);

    if (row == NULL) {
        errand_local_failed(e);
        return;
    }

    snprintf(why, sizeof(why), "the tables that move differ\nhere:\n%s\nat %s:\n%s",
             PQgetvalue(row, 0, 0), e->task.unit, there);
    PQclear(row);
    errand_blocked(e, "shape-differs", why);
}


void
errand_redirect(errand_t *e, const char *unit, long long epoch)
{
    job_t *job = e->job;

    if (*unit == '\0' || strcmp(unit, e->task.unit) == 0 || strcmp(unit, punit_config.unit) == 0) {
        /* No unit knows the owner for now. The directory or a later request will. */
        errand_retry(e, 500, WAIT_MOST_MS);
        return;
    }

    /* Two units name each other until the new owner has activated: not in a loop at full speed. */
    if (epoch > job->epoch) {
        e->outcome->again_ms = 0;
    } else {
        errand_retry(e, 50, 5000);
    }

    snprintf(job->unit, sizeof(job->unit), "%s", unit);
    job->epoch = epoch;
}


void
errand_too_early(errand_t *e, long wait_ms, long seen_ms)
{
    /* The user went back after the last request here: only another request here calls again. */
    if (seen_ms >= 0 && e->job->foreign_ms >= 0
        && seen_ms < e->job->foreign_ms + (punit_clock_ms() - e->began_ms))
    {
        e->outcome->spent = true;
        return;
    }

    e->outcome->again_ms = wait_ms > 0 ? wait_ms + 5 : 100;
}


void
errand_end_record(errand_t *e, const char *result, const char *error)
{
    if (!record_done(e->local, e->task.move_id, result, error)) {
        errand_local_failed(e);
    }
}
