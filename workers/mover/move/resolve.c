#include "mover/move/resolve.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/message.h"
#include "mover/options.h"


void
resolve_ask(errand_t *e)
{
    char answer[MESSAGE_ANSWER_SIZE], epoch[24];

    if (e->task.fenced_ms < options.resolve_ms) {
        return;
    }

    FAILPOINT("resolve.send", e->peer);

    if (!message_send(e, "select punit.resolve($1, $2, $3, $4)", e->task.fence_epoch, answer)) {
        return;
    }

    FAILPOINT("resolve.answered", e->local);

    const char *values[] = { e->task.user, e->task.unit, epoch, answer };

    snprintf(epoch, sizeof(epoch), "%lld", e->task.fence_epoch);

    PGresult *row = link_call(e->local, "select punit.settle($1, $2, $3, $4)", 4, values);

    if (row == NULL) {
        errand_local_failed(e);
        return;
    }

    FAILPOINT("resolve.settled", e->local);

    /* ERASED changes nothing: the message that erases the user is on its way here too. */
    bool changed = strcmp(PQgetvalue(row, 0, 0), "UNCHANGED") != 0;

    punit_log(changed ? PUNIT_LOG_INFO : PUNIT_LOG_DEBUG, "resolved",
              "user=%s peer=%s epoch=%lld answer=%s effect=%s", e->task.user, e->task.unit,
              e->task.fence_epoch, answer, PQgetvalue(row, 0, 0));
    PQclear(row);
}
