#include "mover/tend/garbage.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/options.h"
#include "mover/session.h"
#include "mover/stop.h"

#define TOMB_KEEP_S "2592000" /* 30 days */


/* Each call of `sql` is a transaction for a part of the users, so that no row is locked for long.
 */
static void
collect(link_t *local, const char *event, const char *sql, const char *older_s)
{
    const char *values[] = { older_s };
    long        n = 0, more = 1;

    while (more > 0 && !stop_begun()) {
        FAILPOINT("clear.commit", local);

        PGresult *r = link_call(local, sql, 1, values);

        FAILPOINT("clear.committed", local);

        if (r == NULL) {
            session_failed(local, "keep-failed", event);
            return;
        }

        more = atol(PQgetvalue(r, 0, 0));
        n += more;
        PQclear(r);
    }

    if (n > 0) {
        punit_log(PUNIT_LOG_INFO, event, "n=%ld", n);
    }
}


void
garbage_collect(link_t *local)
{
    char older[32];

    failpoint_with("");
    snprintf(older, sizeof(older), "%.3f", (double) options.copy_keep_ms / 1000);
    collect(local, "tombstones-collected", "select punit.collect_tombs($1)", TOMB_KEEP_S);

    if (local->pg != NULL) {
        collect(local, "copies-evicted", "select punit.evict_copies($1)", older);
    }
}
