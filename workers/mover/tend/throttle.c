#include "mover/tend/throttle.h"

#include <poll.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/session.h"
#include "mover/stop.h"

/* A notice may be lost with a connection. */
#define LOOK_MS  1000
#define SLICE_MS 200
#define RETRY_MS 200


/* Locks the row of each hot user once, so that its writers wait; how many there are, -1 on an
 * error.
 */
static int
hold(link_t *local)
{
    PGresult *r = link_call(local, "select punit.brake()", 0, NULL);
    int       n;

    if (r == NULL) {
        return -1;
    }

    n = atoi(PQgetvalue(r, 0, 0));
    PQclear(r);
    return n;
}


static void
wait_for_notice(link_t *local)
{
    PGnotify *notice;
    long      end = punit_clock_ms() + LOOK_MS;

    while (!stop_begun() && punit_clock_ms() < end) {
        struct pollfd p = { .fd = PQsocket(local->pg), .events = POLLIN };

        if (poll(&p, 1, SLICE_MS) <= 0) {
            continue;
        }

        PQconsumeInput(local->pg);

        if ((notice = PQnotifies(local->pg)) != NULL || !link_ready(local)) {
            PQfreemem(notice);
            return;
        }
    }
}


void *
throttle_run(void *unused)
{
    link_t local = { .pg = NULL };
    bool   braking = false;

    (void) unused;

    while (!stop_begun()) {
        if (!link_ready(&local) && !session_reopen(&local, "listen punit_hot")) {
            continue;
        }

        int n = hold(&local);

        if (n < 0) {
            link_settle(&local);
            poll(NULL, 0, RETRY_MS);
            continue;
        }

        if ((n > 0) != braking) {
            braking = n > 0;
            punit_log(PUNIT_LOG_INFO, "brake", "users=%d", n);
        }

        if (n == 0) {
            wait_for_notice(&local);
        }
    }

    link_close(&local);
    return NULL;
}
