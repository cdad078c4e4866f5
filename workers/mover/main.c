/* punit-mover: moves users to the unit where they are. See doc/PROTOCOL.md. */

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/failpoint.h"
#include "mover/mover.h"
#include "mover/options.h"
#include "mover/queue/datagram.h"
#include "mover/queue/seen.h"
#include "mover/stop.h"
#include "mover/tend/inbox.h"
#include "mover/tend/keep.h"
#include "mover/tend/sweep.h"
#include "mover/tend/throttle.h"

#define STOP_MS 1900


/* Ends the process when the threads do not: what they were at is taken up after the next start. */
static void *
watchdog(void *unused)
{
    (void) unused;
    poll(NULL, 0, STOP_MS);
    punit_log(PUNIT_LOG_WARN, "stopped", "how=abandoned");
    _exit(0);
}


/* Reads the socket until SIGTERM or SIGINT. */
static void
read_reports(int socket, int signals)
{
    struct pollfd p[2] = { { .fd = socket, .events = POLLIN },
                           { .fd = signals, .events = POLLIN } };

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            continue;
        }

        if (p[1].revents & POLLIN) {
            return;
        }

        datagram_read(socket);
    }
}


int
main(int argc, char **argv)
{
    sigset_t  set;
    pthread_t sweeper, inbox, keeper, brake, dog, movers[64];

    if (failpoint_list(argc, argv)) {
        return 0;
    }

    if (!punit_config_load("mover") || !options_load()) {
        return 1;
    }

    /* all threads inherit the mask: signals come to the descriptor alone */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);

    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    int socket = datagram_open(options.socket);

    if (signals < 0 || socket < 0 || seen_open() < 0) {
        return 1;
    }

    if (pthread_create(&sweeper, NULL, sweep_run, NULL) != 0) {
        punit_log(PUNIT_LOG_ERROR, "thread", "which=sweeper");
        return 1;
    }

    if (pthread_create(&inbox, NULL, inbox_run, NULL) != 0) {
        punit_log(PUNIT_LOG_ERROR, "thread", "which=inbox");
        return 1;
    }

    if (pthread_create(&keeper, NULL, keep_run, NULL) != 0
        || pthread_create(&brake, NULL, brake_run, NULL) != 0)
    {
        punit_log(PUNIT_LOG_ERROR, "thread", "which=keeper");
        return 1;
    }

    for (int i = 0; i < options.movers; i++) {
        if (pthread_create(&movers[i], NULL, mover_run, NULL) != 0) {
            punit_log(PUNIT_LOG_ERROR, "thread", "which=mover");
            return 1;
        }
    }

    punit_log(PUNIT_LOG_INFO, "started",
              "unit=%s socket=%s movers=%d after=%d quiet_ms=%ld dwell_ms=%ld", punit_config.unit,
              options.socket, options.movers, options.after, options.quiet_ms, options.dwell_ms);

    read_reports(socket, signals);

    stop_begin();
    visitor_stop();

    if (pthread_create(&dog, NULL, watchdog, NULL) != 0) {
        return 0;
    }

    for (int i = 0; i < options.movers; i++) {
        pthread_join(movers[i], NULL);
    }

    pthread_join(sweeper, NULL);
    pthread_join(inbox, NULL);
    pthread_join(keeper, NULL);
    pthread_join(brake, NULL);
    unlink(options.socket);
    punit_log(PUNIT_LOG_INFO, "stopped", "how=finished");
    return 0;
}
