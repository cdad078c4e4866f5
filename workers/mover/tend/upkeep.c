#include "mover/tend/upkeep.h"

#include <poll.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "mover/options.h"
#include "mover/peer.h"
#include "mover/session.h"
#include "mover/stop.h"
#include "mover/tend/audit.h"
#include "mover/tend/ended_keys.h"
#include "mover/tend/garbage.h"

#define AUDIT_MS   1000
#define GARBAGE_MS 60000
#define KEYS_MS    2000
#define SLICE_MS   200


void *
upkeep_run(void *unused)
{
    link_t   local = { .pg = NULL };
    peers_t *peers = peers_create();
    long     audited_at = punit_clock_ms(), collected_at = 0, keys_at = 0;
    long     garbage_ms = options.copy_keep_ms < GARBAGE_MS ? options.copy_keep_ms : GARBAGE_MS;

    (void) unused;

    while (peers != NULL && !stop_begun()) {
        poll(NULL, 0, SLICE_MS);

        if (!link_ready(&local) && !session_reopen(&local, NULL)) {
            continue;
        }

        if (punit_clock_ms() - audited_at >= AUDIT_MS) {
            audited_at = punit_clock_ms();
            audit_due(&local, peers);
        }

        if (link_ready(&local) && punit_clock_ms() - collected_at >= garbage_ms) {
            collected_at = punit_clock_ms();
            garbage_collect(&local);
        }

        if (link_ready(&local) && punit_clock_ms() - keys_at >= KEYS_MS) {
            keys_at = punit_clock_ms();
            ended_keys_remove(&local);
        }
    }

    if (peers != NULL) {
        peers_destroy(peers);
    }

    link_close(&local);
    return NULL;
}
