#include "mover/move/handover.h"

#include <string.h>

#include "lib/base/clock.h"
#include "mover/errand.h"
#include "mover/failpoint.h"
#include "mover/move/abort.h"
#include "mover/move/bring.h"
#include "mover/move/pass_on.h"
#include "mover/move/resolve.h"
#include "mover/move/retire.h"

typedef void step_t(errand_t *errand);


/* A user owned here needs nothing: the requests that made the user due are no evidence. */
static void
stay(errand_t *e)
{
    e->outcome->spent = true;
}


static void
erased(errand_t *e)
{
    errand_end_record(e, "erased", NULL);
}


/* Only a request starts a move of which there is no record. */
static void
begin(errand_t *e)
{
    if (e->job->foreign_ms >= 0) {
        bring_user(e);
    }
}


/* A drained unit keeps no copy warm. */
static void
go_on(errand_t *e)
{
    if (e->task.draining && !e->task.asked) {
        stay(e);
    } else {
        bring_user(e);
    }
}


/* What a user needs, by the state of the user's row here and by the phase of the move to here. */
/* clang-format off */
static step_t *const steps[TASK_STATES][TASK_PHASES] = {
    [STATE_COPY] = {
        [PHASE_NONE]   = begin,          [PHASE_WANTED] = bring_user,
        [PHASE_COPY]   = go_on,          [PHASE_FENCE]  = bring_user,
        [PHASE_RETIRE] = retire_tell,    [PHASE_REFUSE] = abort_tell,
    },
    [STATE_OWNED] = {
        [PHASE_NONE]   = stay,           [PHASE_WANTED] = retire_unheard,
        [PHASE_COPY]   = retire_unheard, [PHASE_FENCE]  = retire_unheard,
        [PHASE_RETIRE] = retire_tell,    [PHASE_REFUSE] = abort_tell,
    },
    [STATE_FENCED] = {
        [PHASE_NONE]   = resolve_ask,    [PHASE_WANTED] = resolve_ask,
        [PHASE_COPY]   = resolve_ask,    [PHASE_FENCE]  = resolve_ask,
        [PHASE_RETIRE] = resolve_ask,    [PHASE_REFUSE] = resolve_ask,
    },
    [STATE_ERASED] = {
        [PHASE_NONE]   = erased,         [PHASE_WANTED] = erased,
        [PHASE_COPY]   = erased,         [PHASE_FENCE]  = erased,
        [PHASE_RETIRE] = retire_tell,    [PHASE_REFUSE] = erased,
    },
};
/* clang-format on */


/* Requests from before an operator's cancel count no more. At a drained unit no request counts. */
static void
forget_requests(errand_t *e)
{
    job_t *job = e->job;

    if ((e->task.cancelled_ms < 0 || job->foreign_ms < e->task.cancelled_ms) && !e->task.draining) {
        return;
    }

    if (job->foreign_ms >= 0) {
        e->outcome->spent = true;
    }

    job->evidence = false;
    job->foreign_ms = -1;
}


void
handover_run(session_t *session, peers_t *peers, job_t *job, outcome_t *outcome)
{
    errand_t e = { .job = job,
                   .outcome = outcome,
                   .local = &session->local,
                   .plan = &session->plan,
                   .peers = peers,
                   .began_ms = punit_clock_ms(),
                   .compared = -1 };

    if (!task_load(&e.task, e.local, job)) {
        errand_local_failed(&e);
        return;
    }

    if (strcmp(e.task.shape, e.plan->shape) != 0 && !session_replan(session)) {
        errand_retry(&e, 200, 2000);
        return;
    }

    forget_requests(&e);
    failpoint_with(e.task.unit);

    if (*e.task.pass_id != '\0') {
        pass_on(&e);
    }

    steps[e.task.state][e.task.phase](&e);
}
