#include "mover/failpoint.h"

#ifdef PUNIT_FAILPOINTS

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/queue/report.h"
#include "mover/stop.h"

#define HOLD_MS 30000

/* The linker's names for the ends of the section that FAILPOINT fills. */
extern const char *const __start_punit_failpoints[];
extern const char *const __stop_punit_failpoints[];

static _Thread_local char with[UNIT_SIZE];


static void
act(const char *action, long ms, const char *hit, link_t *link)
{
    if (strcmp(action, "kill") == 0) {
        kill(getpid(), SIGKILL);

    } else if (strcmp(action, "sleep") == 0) {
        poll(NULL, 0, (int) ms);

    } else if (strcmp(action, "hold") == 0) {
        long end = punit_clock_ms() + HOLD_MS;

        while (access(hit, F_OK) == 0 && punit_clock_ms() < end && !stop_now()) {
            poll(NULL, 0, 5);
        }

    } else if (link != NULL && link->pg != NULL) {
        if (strcmp(action, "drop") == 0) {
            shutdown(PQsocket(link->pg), SHUT_RDWR);
        } else if (strcmp(action, "deaf") == 0) {
            shutdown(PQsocket(link->pg), SHUT_RD);
        }
    }
}


/* The lines after the first: the next failpoint. */
static void
arm(const char *path, const char *lines, size_t size)
{
    char next[520];

    snprintf(next, sizeof(next), "%s.next", path);

    FILE *f = fopen(next, "we");

    if (f == NULL) {
        return;
    }

    fwrite(lines, 1, size, f);

    if (fclose(f) == 0) {
        rename(next, path);
    }
}


void
failpoint_with(const char *unit)
{
    snprintf(with, sizeof(with), "%s", unit);
}


static void
say_with(const char *hit)
{
    FILE *f = fopen(hit, "ae");

    if (f != NULL) {
        fprintf(f, "\nwith %s\n", *with != '\0' ? with : "-");
        fclose(f);
    }
}


bool
failpoint_reached(const char *name, link_t *link)
{
    char path[512], hit[520], line[128], rest[512], armed[64], action[16];
    long ms = 0;

    snprintf(path, sizeof(path), "%s/failpoint", punit_config.dir);
    snprintf(hit, sizeof(hit), "%s.hit", path);

    FILE *f = fopen(path, "re");

    if (f == NULL) {
        return false;
    }

    bool match = fgets(line, sizeof(line), f) != NULL
                 && sscanf(line, "%63s %15s %ld", armed, action, &ms) >= 2
                 && strcmp(armed, name) == 0;
    size_t n = fread(rest, 1, sizeof(rest), f);

    fclose(f);

    /* One of several threads gets the file. */
    if (!match || rename(path, hit) != 0) {
        return false;
    }

    say_with(hit);

    if (n > 0) {
        arm(path, rest, n);
    }

    punit_log(PUNIT_LOG_WARN, "failpoint", "name=%s action=%s", name, action);
    act(action, ms, hit, link);
    return strcmp(action, "spoil") == 0;
}


bool
failpoint_list(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "--failpoints") != 0) {
        return false;
    }

    /* cppcheck-suppress comparePointers ; both are ends of one section */
    for (const char *const *name = __start_punit_failpoints; name < __stop_punit_failpoints; name++)
    {
        puts(*name);
    }

    return true;
}

#else

/* ISO C wants a declaration in every file. */
typedef int failpoint_nothing_t;

#endif
