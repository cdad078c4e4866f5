/* Failpoint: a named place where a test makes this process fail. Compiled in by `make FAILPOINTS=1`
 * alone; in the ordinary build FAILPOINT is false and costs nothing. */
#ifndef PUNIT_MOVER_FAILPOINT_H
#define PUNIT_MOVER_FAILPOINT_H

#include <stdbool.h>

#include "mover/link.h"

#ifdef PUNIT_FAILPOINTS

/* The first line of the file $PUNIT_DIR/failpoint, `NAME ACTION [MS]`, arms one failpoint for one
 * time. Whoever reaches it renames the file to failpoint.hit, adds a line `with UNIT` (- if it is
 * nobody's), arms the next line if there is one, and then does what the line says: kill     ends
 * the process as kill -9 does sleep    goes on after MS hold     goes on when failpoint.hit is
 * gone, at most 30 s later: time to do something to another process drop     shuts the link's
 * socket: what is sent from here on does not arrive, answers neither deaf     what is sent from
 * here on arrives, its answer does not spoil    the macro is true: what that means is said where it
 * stands */
#define FAILPOINT(name, link)                                          \
    __extension__({                                                    \
        static const char *const failpoint_name_                       \
            __attribute__((section("punit_failpoints"), used)) = name; \
        failpoint_reached(failpoint_name_, link);                      \
    })

bool failpoint_reached(const char *name, link_t *link);

/* Whom this thread talks to from here on; "" nobody. */
void failpoint_with(const char *unit);

/* `--failpoints`: prints the name of each, and gives true. */
bool failpoint_list(int argc, char **argv);

#else

#define FAILPOINT(name, link) failpoint_none()

static inline bool
failpoint_none(void)
{
    return false;
}


static inline void
failpoint_with(const char *unit)
{
    (void) unit;
}


static inline bool
failpoint_list(int argc, char **argv)
{
    (void) argc;
    (void) argv;
    return false;
}

#endif

#endif
