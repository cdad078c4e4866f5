#include "mover/move/settle.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/move/record.h"
#include "mover/options.h"


/* Sends one message about him at `epoch` and reads its one word; false after having set the
 * outcome. */
static bool
say(handover_t *h, const char *sql, long long epoch, char *answer, size_t size)
{
    char        e[24];
    const char *values[] = { h->task.user, e, h->task.here, h->task.there };

    if (h->peer == NULL && !handover_reach(h)) {
        return false;
    }

    FAILPOINT("message.send", h->peer);
    snprintf(e, sizeof(e), "%lld", epoch);

    PGresult *row = link_call(h->peer, sql, 4, values);

    if (row == NULL) {
        handover_lost(h);
        return false;
    }

    snprintf(answer, size, "%s", PQgetvalue(row, 0, 0));
    PQclear(row);

    if (strncmp(answer, "VOID", 4) == 0) {
        handover_wait(h, "message-void", answer);
        return false;
    }

    return true;
}


void
settle_retire(handover_t *h)
{
    char answer[200];

    FAILPOINT("retire.send", h->peer);

    if (!say(h, "select punit.retire($1, $2, $3, $4)", h->task.move_epoch + 1, answer,
             sizeof(answer))) {
        return;
    }

    FAILPOINT("retire.answered", &h->mover->local);

    /* UNCHANGED: it knows already */
    if (!record_retired(&h->mover->local, &h->task)) {
        handover_stuck(h);
        return;
    }

    FAILPOINT("retire.noted", &h->mover->local);
}


void
settle_refuse(handover_t *h)
{
    char answer[200];

    FAILPOINT("refused.send", h->peer);

    if (!say(h, "select punit.refused($1, $2, $3, $4)", h->task.move_epoch + 1, answer,
             sizeof(answer))) {
        return;
    }

    FAILPOINT("refused.answered", &h->mover->local);

    if (!record_refused(&h->mover->local, &h->task)) {
        handover_stuck(h);
        return;
    }

    FAILPOINT("refused.noted", &h->mover->local);

    /* the next try is another move; what stopped this one may be gone by then */
    if (h->errand->evidence || h->task.asked) {
        handover_later(h, 2000, 600000);
    }
}


void
settle_resolve(handover_t *h)
{
    char answer[200], epoch[24];

    if (h->task.fenced_ms < options.resolve_ms) {
        return;
    }

    FAILPOINT("resolve.send", h->peer);

    if (!say(h, "select punit.resolve($1, $2, $3, $4)", h->task.fence_epoch, answer,
             sizeof(answer))) {
        return;
    }

    FAILPOINT("resolve.answered", &h->mover->local);

    const char *values[] = { h->task.user, h->task.unit, epoch, answer };

    snprintf(epoch, sizeof(epoch), "%lld", h->task.fence_epoch);

    PGresult *row = link_call(&h->mover->local, "select punit.settle($1, $2, $3, $4)", 4, values);

    if (row == NULL) {
        handover_stuck(h);
        return;
    }

    FAILPOINT("resolve.settled", &h->mover->local);

    /* ERASED changes nothing: the message that erases him is on its way here too */
    bool changed = strcmp(PQgetvalue(row, 0, 0), "UNCHANGED") != 0;

    punit_log(changed ? PUNIT_LOG_INFO : PUNIT_LOG_DEBUG, "resolved",
              "user=%s peer=%s epoch=%lld answer=%s effect=%s", h->task.user, h->task.unit,
              h->task.fence_epoch, answer, PQgetvalue(row, 0, 0));
    PQclear(row);
}


void
settle_owned(handover_t *h)
{
    /* the commit of ACTIVATE that nobody heard of, or a record of a later wish for what is so
     * already */
    if (h->task.move_epoch > 0 && h->task.epoch == h->task.move_epoch + 1) {
        if (!record_owned(&h->mover->local, &h->task)) {
            handover_stuck(h);
            return;
        }

        h->task.phase = PHASE_RETIRE;
        settle_retire(h);
        return;
    }

    if (!record_done(&h->mover->local, h->task.move_id, "cancelled", "he is owned here already")) {
        handover_stuck(h);
    }
}


void
settle_pass(handover_t *h)
{
    link_t     *peer = peer_link(h->mover->peers, h->task.pass_to, &h->mover->local);
    const char *values[] = { h->task.user,
                             *h->task.unit && h->task.state == STATE_COPY ? h->task.unit
                                                                          : punit_config.unit,
                             h->task.here, h->task.pass_there, h->task.pass_paced ? "t" : "f" };

    if (peer == NULL || *h->task.pass_there == '\0') {
        h->outcome->failed = true;
        h->outcome->again_ms = peer_wait_ms(h->task.pass_to) + 100;
        return;
    }

    failpoint_with(h->task.pass_to);
    FAILPOINT("pass.send", peer);

    PGresult *row = link_call(peer, "select punit.ask_move($1, $2, $3, $4, $5)", 5, values);

    FAILPOINT("pass.answered", &h->mover->local);
    failpoint_with(h->task.unit);

    if (row == NULL) {
        if (peer->pg == NULL || link_error_passes(peer)) {
            peer_failed(h->task.pass_to, peer);
        }

        h->outcome->failed = true;
        h->outcome->again_ms = peer_wait_ms(h->task.pass_to) + 100;
        return;
    }

    const char *answer = PQgetvalue(row, 0, 0);
    bool        passed = strcmp(answer, "OK") == 0;

    if (!record_done(&h->mover->local, h->task.pass_id, passed ? "passed" : "failed",
                     passed ? NULL : answer))
    {
        handover_stuck(h);
    }

    PQclear(row);
}
