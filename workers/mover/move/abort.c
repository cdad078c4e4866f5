#include "mover/move/abort.h"

#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/message.h"
#include "mover/move/record.h"

#define AGAIN_FIRST_MS 2000
#define AGAIN_MOST_MS  600000


void
abort_move(errand_t *e, long long epoch, const char *why)
{
    bool refused;
    char quoted[800];

    punit_log(PUNIT_LOG_ERROR, "move-aborted", "user=%s from=%s epoch=%lld why=%s", e->task.user,
              e->task.unit, epoch + 1, punit_log_quote(quoted, sizeof(quoted), why));

    FAILPOINT("refuse.commit", e->local);

    if (!record_refuse(e->local, &e->task, epoch + 1, why, &refused)) {
        errand_local_failed(e);
        return;
    }

    FAILPOINT("refuse.committed", e->local);

    if (!refused) {
        e->outcome->again_ms = 0;
        return;
    }

    e->task.phase = PHASE_REFUSE;
    e->task.move_epoch = epoch;
    abort_tell(e);
}


void
abort_tell(errand_t *e)
{
    char answer[MESSAGE_ANSWER_SIZE];

    FAILPOINT("refused.send", e->peer);

    if (!message_send(e, "select punit.refused($1, $2, $3, $4)", e->task.move_epoch + 1, answer)) {
        return;
    }

    FAILPOINT("refused.answered", e->local);

    if (!record_refused(e->local, &e->task)) {
        errand_local_failed(e);
        return;
    }

    FAILPOINT("refused.noted", e->local);

    /* The next try is another move. The reason for this abort may be gone by then. */
    if (e->job->evidence || e->task.asked) {
        errand_retry(e, AGAIN_FIRST_MS, AGAIN_MOST_MS);
    }
}
