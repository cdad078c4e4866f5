#include "mover/mover.h"

#include <stddef.h>

#include "lib/base/backoff.h"
#include "mover/move/handover.h"
#include "mover/peer.h"
#include "mover/queue/queue.h"
#include "mover/session.h"

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS  2000


void *
mover_run(void *unused)
{
    session_t session = { .local = { .pg = NULL } };
    peers_t  *peers = peers_create();
    job_t     job;

    (void) unused;

    if (peers == NULL) {
        return NULL;
    }

    while (queue_take(&job)) {
        outcome_t outcome = { .again_ms = -1, .idle_ms = -peers_idle_ms(peers) };

        if (session_ready(&session)) {
            handover_run(&session, peers, &job, &outcome);
        } else {
            outcome.failed = true;
            outcome.again_ms = punit_backoff_ms(job.tries, RETRY_FIRST_MS, RETRY_MOST_MS);
        }

        outcome.idle_ms += peers_idle_ms(peers);
        queue_done(&job, &outcome);
    }

    peers_destroy(peers);
    session_close(&session);
    return NULL;
}
