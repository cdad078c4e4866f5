#include "mover/move/pass_on.h"

#include <string.h>

#include "lib/base/config.h"
#include "mover/failpoint.h"
#include "mover/move/record.h"

/* After the peer may be tried again. */
#define AGAIN_MS 100


static void
retry(errand_t *e)
{
    e->outcome->failed = true;
    e->outcome->again_ms = peer_wait_ms(e->task.pass_to) + AGAIN_MS;
}


void
pass_on(errand_t *e)
{
    const task_t *t = &e->task;
    const char   *owner = *t->unit && t->state == STATE_COPY ? t->unit : punit_config.unit;
    const char   *paced = t->pass_paced ? "t" : "f";
    const char   *values[] = { t->user, owner, t->here, t->pass_there, paced };
    link_t       *peer = peer_link(e->peers, t->pass_to, e->local);

    if (peer == NULL || *t->pass_there == '\0') {
        retry(e);
        return;
    }

    failpoint_with(t->pass_to);
    FAILPOINT("pass.send", peer);

    PGresult *row = link_call(peer, "select punit.ask_move($1, $2, $3, $4, $5)", 5, values);

    FAILPOINT("pass.answered", e->local);
    failpoint_with(t->unit);

    if (row == NULL) {
        if (peer->pg == NULL || link_error_passes(peer)) {
            peer_failed(t->pass_to, peer);
        }

        retry(e);
        return;
    }

    const char *answer = PQgetvalue(row, 0, 0);
    bool        passed = strcmp(answer, "OK") == 0;

    if (!record_done(e->local, t->pass_id, passed ? "passed" : "failed", passed ? NULL : answer)) {
        errand_local_failed(e);
    }

    PQclear(row);
}
