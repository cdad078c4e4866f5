#include "mover/tend/sweep.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "mover/options.h"
#include "mover/queue/local_seen.h"
#include "mover/queue/queue.h"
#include "mover/session.h"
#include "mover/stop.h"

#define SWEEP_MS 1000
#define TIDY_MS  30000
#define SLICE_MS 200


/* Makes every user due that the statement names. Its second column says whether the move is paced.
 */
static bool
call_all(link_t *local, const char *sql, int n, const char *const *values)
{
    PGresult *rows = link_call(local, sql, n, values);

    if (rows == NULL) {
        return false;
    }

    for (int i = 0; i < PQntuples(rows); i++) {
        queue_call(PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1)[0] == 't');
    }

    PQclear(rows);
    return true;
}


/* Users who hang between two units, and users with an unfinished move: a crash of this process cut
 * it off, or an operator asked for it. */
static bool
sweep(link_t *local)
{
    char        seconds[32];
    const char *values[] = { seconds };

    snprintf(seconds, sizeof(seconds), "%.3f", (double) options.resolve_ms / 1000);
    return call_all(local, "select user_id, false from punit.hanging($1)", 1, values)
           && call_all(local, "select user_id, paced from punit.unfinished()", 0, NULL);
}


/* Work without a deadline: after a failure the next round does it. */
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
    queue_sweep();
}


static bool
store_seen(link_t *local)
{
    char *users = local_seen_take();

    if (users == NULL) {
        return true;
    }

    const char *values[] = { users };
    PGresult   *r = link_call(local, "select punit.saw_local($1)", 1, values);

    free(users);
    PQclear(r);
    return r != NULL;
}


/* Waits for users seen here, for a notice that a move is asked for, or for the time; whether a
 * notice came. */
static bool
wait_for_work(link_t *local, long ms)
{
    struct pollfd p[2] = {
        { .fd = local_seen_fd(), .events = POLLIN },
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

    while (!stop_begun()) {
        if (!link_ready(&local)) {
            if (!session_reopen(&local, "listen punit_move")) {
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

        if (link_ready(&local) && wait_for_work(&local, SLICE_MS)) {
            swept_at = 0;
        }
    }

    link_close(&local);
    return NULL;
}
