#include "mover/tend/sweep.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/mover.h"
#include "mover/options.h"
#include "mover/queue/seen.h"
#include "mover/stop.h"

#define SWEEP_MS 1000
#define TIDY_MS  30000


/* Every user that a statement names is to be looked after; and whether nobody waits for it. */
static bool
call_all(link_t *local, const char *sql, int n, const char *const *values)
{
    PGresult *rows = link_call(local, sql, n, values);

    if (rows == NULL) {
        return false;
    }

    for (int i = 0; i < PQntuples(rows); i++) {
        visitor_call(PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1)[0] == 't');
    }

    PQclear(rows);
    return true;
}


/* Whoever hangs between two units, or whose move was cut off by a crash of this process or asked
 * for. */
static bool
sweep(link_t *local)
{
    char        seconds[32];
    const char *values[] = { seconds };

    snprintf(seconds, sizeof(seconds), "%.3f", (double) options.resolve_ms / 1000);
    return call_all(local, "select user_id, false from punit.hanging($1)", 1, values)
           && call_all(local, "select user_id, paced from punit.unfinished()", 0, NULL);
}


/* Work for which no moment matters; a failure is for the next time. */
static void
tidy(link_t *local)
{
    char        seconds[32], quoted[600];
    const char *values[] = { seconds };

    snprintf(seconds, sizeof(seconds), "%.3f", (double) options.window_ms / 1000);

    PGresult *r = link_call(local, "select punit.tidy($1), punit.months_ahead()", 1, values);

    if (r == NULL) {
        punit_log(PUNIT_LOG_WARN, "tidy-failed", "error=%s",
                  punit_log_quote(quoted, sizeof(quoted), local->error));
        link_settle(local);
    }

    PQclear(r);
    visitor_sweep();
}


static bool
store_seen(link_t *local)
{
    char *users = seen_take();

    if (users == NULL) {
        return true;
    }

    const char *values[] = { users };
    PGresult   *r = link_call(local, "select punit.saw_local($1)", 1, values);

    free(users);
    PQclear(r);
    return r != NULL;
}


/* Waits for reports of users seen here, a notice that a move is asked for, or the time; gives
 * whether a notice came. */
static bool
wait_for_work(link_t *local, long ms)
{
    struct pollfd p[2] = {
        { .fd = seen_fd(), .events = POLLIN },
        { .fd = PQsocket(local->pg), .events = POLLIN },
    };
    bool      noticed = false;
    PGnotify *notice;

    if (poll(p, 2, (int) ms) > 0 && p[1].revents != 0) {
        PQconsumeInput(local->pg);

        while ((notice = PQnotifies(local->pg)) != NULL) {
            PQfreemem(notice);
            noticed = true;
        }
    }

    return noticed;
}


void *
sweep_run(void *unused)
{
    link_t local = { .pg = NULL };
    long   swept_at = 0, tidied_at = punit_clock_ms();

    (void) unused;

    while (!stopping()) {
        if (!link_ready(&local)) {
            link_close(&local);

            if (!local_open(&local) || !link_run(&local, "listen punit_move")) {
                link_close(&local);
                poll(NULL, 0, 200);
                continue;
            }

            swept_at = 0;
        }

        if (!store_seen(&local)) {
            link_settle(&local);
            continue;
        }

        if (punit_clock_ms() - swept_at >= SWEEP_MS) {
            swept_at = punit_clock_ms();

            if (!sweep(&local)) {
                link_settle(&local);
                continue;
            }
        }

        if (punit_clock_ms() - tidied_at >= TIDY_MS) {
            tidied_at = punit_clock_ms();
            tidy(&local);
        }

        if (link_ready(&local) && wait_for_work(&local, 200)) {
            swept_at = 0;
        }
    }

    link_close(&local);
    return NULL;
}
