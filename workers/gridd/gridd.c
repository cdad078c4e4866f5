/* Gridd: keeps the grid true. It writes the generation of each service's reference data to every
 * memcached server, once a second and at each NOTIFY. It writes ended tokens to the token grid.
 *
 * While PostgreSQL does not answer, nothing is written. The generations then expire within 3 s and
 * every lookup misses, which is slower but never wrong. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gridd/ended_tokens.h"
#include "gridd/generations.h"
#include "gridd/listener.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/base/reload.h"
#include "lib/base/signals.h"
#include "lib/pg/conninfo.h"

#define TICK_MS 1000

static const channel_t channels[] = {
    { "punit_generation", "listen punit_generation", generations_notified },
    { "punit_ended", "listen punit_ended", ended_tokens_notified },
    { 0 },
};


/* The signal that came; 0: none that can be followed. */
static int
take_signal(int signals, char **argv)
{
    struct signalfd_siginfo taken;

    if (read(signals, &taken, sizeof(taken)) != (ssize_t) sizeof(taken)
        || (taken.ssi_signo == SIGHUP && !punit_reload_possible(argv)))
    {
        return 0;
    }

    return (int) taken.ssi_signo;
}


/* Waits for a NOTIFY, a signal or the time. True when a signal is there. */
static bool
wait_until(int64_t time, int signals, int pg)
{
    struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = pg, .events = POLLIN } };
    int64_t       left = time - punit_clock_ms();

    if (poll(fds, 2, left > 0 ? (int) left : 0) <= 0) {
        return false;
    }

    return (fds[0].revents & POLLIN) != 0;
}


int
main(int argc, char **argv)
{
    state_t state = { 0 };
    int     end = 0;

    (void) argc;

    if (!punit_config_load("gridd")) {
        return 1;
    }

    sigset_t ends = punit_signals_block();
    int      signals = signalfd(-1, &ends, SFD_CLOEXEC);

    state.grid = punit_grid_create(punit_config.grid, NULL);
    state.tokens = punit_grid_create(punit_config.token_grid, NULL);
    state.listener =
        listener_create(punit_conninfo_own(punit_config.pg_user, "punit_gridd"), channels);

    if (signals < 0 || state.grid == NULL || state.tokens == NULL || state.listener == NULL) {
        punit_log(PUNIT_LOG_ERROR, "start", "why=grid-or-memory");
        return 1;
    }

    punit_log(PUNIT_LOG_INFO, "start", "version=%s unit=%s", PUNIT_VERSION, punit_config.unit);

    while (end == 0) {
        int64_t tick = punit_clock_ms() + TICK_MS;

        /* Notifications were missed before the reconnect, so everything is read again. */
        if (listener_stand(state.listener)) {
            state.catch_up = true;
        }

        generations_write(&state);

        if (state.catch_up) {
            ended_tokens_catch_up(&state);
        }

        int64_t next = listener_retry_at(state.listener, tick);

        /* Notifications that came while a statement ran are in libpq already and do not wake poll.
         */
        listener_notifications(state.listener, &state);

        while (end == 0 && !state.changed && punit_clock_ms() < next) {
            if (wait_until(next, signals, listener_socket(state.listener))) {
                end = take_signal(signals, argv);
            }

            listener_notifications(state.listener, &state);
            next = listener_retry_at(state.listener, next);
        }
    }

    punit_log(PUNIT_LOG_INFO, "stop", "why=signal");
    listener_destroy(state.listener);
    punit_grid_destroy(state.grid);
    punit_grid_destroy(state.tokens);
    close(signals);

    if (end == SIGHUP) {
        punit_reload(-1, false, argv);
        return 1;
    }

    return 0;
}
