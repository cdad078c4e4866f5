#include "mover/move/retire.h"

#include "mover/failpoint.h"
#include "mover/move/message.h"
#include "mover/move/record.h"


void
retire_tell(errand_t *e)
{
    char answer[MESSAGE_ANSWER_SIZE];

    FAILPOINT("retire.send", e->peer);

    if (!message_send(e, "select punit.retire($1, $2, $3, $4)", e->task.move_epoch + 1, answer)) {
        return;
    }

    FAILPOINT("retire.answered", e->local);

    /* Any answer will do. UNCHANGED says that the old owner knew already. */
    if (!record_retired(e->local, &e->task)) {
        errand_local_failed(e);
        return;
    }

    FAILPOINT("retire.noted", e->local);
}


void
retire_unheard(errand_t *e)
{
    /* The answer of ACTIVATE's commit was lost. */
    if (e->task.move_epoch > 0 && e->task.epoch == e->task.move_epoch + 1) {
        if (!record_owned(e->local, &e->task)) {
            errand_local_failed(e);
            return;
        }

        e->task.phase = PHASE_RETIRE;
        retire_tell(e);
        return;
    }

    /* An operator asked later for what is so already. */
    errand_end_record(e, "cancelled", "the user is owned here already");
}
