/* punit-mover: moves each user to the unit where the user is. See doc/PROTOCOL.md. */

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/base/reload.h"
#include "lib/base/signals.h"
#include "lib/base/socket.h"
#include "mover/failpoint.h"
#include "mover/mover.h"
#include "mover/options.h"
#include "mover/queue/datagram.h"
#include "mover/queue/local_seen.h"
#include "mover/queue/queue.h"
#include "mover/stop.h"
#include "mover/tend/inbox.h"
#include "mover/tend/sweep.h"
#include "mover/tend/throttle.h"
#include "mover/tend/upkeep.h"

#define STOP_MS 1900

typedef struct {
    const char *name;
    void *(*run)(void *);
    pthread_t thread;
} part_t;

/* The threads beside the movers. */
static part_t parts[] = {
    { .name = "sweeper", .run = sweep_run },
    { .name = "inbox", .run = inbox_run },
    { .name = "keeper", .run = upkeep_run },
    { .name = "throttle", .run = throttle_run },
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static pthread_t movers[MOVERS_MAX];

/* The socket for reports. One that is not the process's own stays at the end, with what is in it.
 */
static int  reports;
static bool own;

/* Of the program that a reload executes. NULL: the process ends. */
static char **reload_argv;


/* Ends the program, by another one in its place or by the end of the process. */
static void
end(int level, const char *how)
{
    if (reload_argv != NULL || !own) {
        datagram_hand_on(reports);
    }

    punit_log(level, "stopped", "how=%s reload=%d", how, reload_argv != NULL);

    if (reload_argv != NULL) {
        punit_reload(reports, own, reload_argv);
        _exit(1);
    }

    if (own) {
        unlink(options.socket);
    }

    _exit(0);
}


/* Ends the process when its threads do not. The next start resumes their work. */
static void *
watchdog(void *unused)
{
    (void) unused;
    poll(NULL, 0, STOP_MS);
    end(PUNIT_LOG_WARN, "abandoned");
    return NULL;
}


static bool
open_reports(void)
{
    reports = punit_socket_inherited(SOCK_DGRAM, &own);

    if (reports < 0) {
        own = true;
        reports = datagram_open(options.socket);
    }

    return reports >= 0;
}


/* True if the signal ends this program. */
static bool
take_signal(int signals, char **argv)
{
    struct signalfd_siginfo taken;

    if (read(signals, &taken, sizeof(taken)) != (ssize_t) sizeof(taken)) {
        return false;
    }

    if (taken.ssi_signo != SIGHUP) {
        return true;
    }

    reload_argv = punit_reload_possible(argv) ? argv : NULL;
    return reload_argv != NULL;
}


/* Reads the socket until SIGTERM, SIGINT or SIGHUP. */
static void
read_reports(int socket, int signals, char **argv)
{
    struct pollfd p[2] = { { .fd = socket, .events = POLLIN },
                           { .fd = signals, .events = POLLIN } };

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            continue;
        }

        if ((p[1].revents & POLLIN) && take_signal(signals, argv)) {
            return;
        }

        datagram_read(socket);
    }
}


static bool
start(pthread_t *thread, const char *name, void *(*run)(void *) )
{
    if (pthread_create(thread, NULL, run, NULL) != 0) {
        punit_log(PUNIT_LOG_ERROR, "thread", "which=%s", name);
        return false;
    }

    return true;
}


static bool
start_all(void)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (!start(&parts[i].thread, parts[i].name, parts[i].run)) {
            return false;
        }
    }

    for (int i = 0; i < options.movers; i++) {
        if (!start(&movers[i], "mover", mover_run)) {
            return false;
        }
    }

    return true;
}


static void
join_all(void)
{
    for (int i = 0; i < options.movers; i++) {
        pthread_join(movers[i], NULL);
    }

    for (size_t i = 0; i < PARTS; i++) {
        pthread_join(parts[i].thread, NULL);
    }
}


int
main(int argc, char **argv)
{
    pthread_t dog;

    if (failpoint_list(argc, argv)) {
        return 0;
    }

    if (!punit_config_load("mover") || !options_load()) {
        return 1;
    }

    sigset_t ends = punit_signals_block();
    int      signals = signalfd(-1, &ends, SFD_CLOEXEC);

    if (signals < 0 || !open_reports() || local_seen_open() < 0 || !start_all()) {
        return 1;
    }

    punit_log(PUNIT_LOG_INFO, "started",
              "unit=%s socket=%s movers=%d after=%d quiet_ms=%ld dwell_ms=%ld", punit_config.unit,
              options.socket, options.movers, options.after, options.quiet_ms, options.dwell_ms);

    read_reports(reports, signals, argv);

    stop_begin();
    queue_stop();

    if (!start(&dog, "watchdog", watchdog)) {
        return 0;
    }

    join_all();
    end(PUNIT_LOG_INFO, "finished");
    return 0;
}
