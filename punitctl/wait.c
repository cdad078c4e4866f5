#include "punitctl/wait.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"

static volatile sig_atomic_t interrupted;


static void
note(int number)
{
    (void) number;
    interrupted = 1;
}


void
wait_begin(void)
{
    const struct sigaction action = { .sa_handler = note };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}


bool
wait_pause(double seconds)
{
    double end = punit_clock_fine_ms() + 1e3 * seconds;

    while (!interrupted && punit_clock_fine_ms() < end) {
        const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

        nanosleep(&pause, NULL);
    }
    return !interrupted;
}


bool
wait_until(bool (*done)(void *context), void *context, double seconds)
{
    double end = punit_clock_fine_ms() + 1e3 * seconds;

    wait_begin();
    while (!done(context)) {
        if (punit_clock_fine_ms() >= end) {
            return false;
        }
        if (!wait_pause(0.05)) {
            output_problem(
                "interrupted",
                "stopped waiting, and what was begun goes on; the same call waits again");
            exit(output_end(EXIT_INTERRUPTED));
        }
    }
    return true;
}


double
wait_within(const arguments_t *arguments)
{
    const char *text = arguments_value(arguments, "within");
    char       *end;
    double      seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 1e6)) {
        output_error("--within: expected seconds");
        return -1;
    }
    return seconds;
}
