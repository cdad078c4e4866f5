/* Failpoint: a named place where a test makes this process fail. Only `make FAILPOINTS=1` compiles
 * it in. In the ordinary build FAILPOINT is false and costs nothing. */
#ifndef PUNIT_MOVER_FAILPOINT_H
#define PUNIT_MOVER_FAILPOINT_H

#include <stdbool.h>

#include "mover/link.h"

#ifdef PUNIT_FAILPOINTS

/* clang-format off */
/* The first line of the file $PUNIT_DIR/failpoint, `NAME ACTION [MS]`, arms one failpoint for one
 * time. The thread that reaches it renames the file to failpoint.hit and adds the line `with UNIT`
 * (- if there is no unit). It arms the next line, if any, and then does what its line says:
 *   kill     ends the process as kill -9 does
 *   sleep    goes on after MS
 *   hold     goes on when failpoint.hit is gone, at most 30 s later; meanwhile the test does
 *            something to another process
 *   drop     shuts the link's socket: what is sent from here on does not arrive, and neither do
 *            answers
 *   deaf     what is sent from here on arrives, but its answer does not
 *   spoil    makes the macro true; the place says what that means */
/* clang-format on */
#define FAILPOINT(name, link)                                          \
    __extension__({                                                    \
        static const char *const failpoint_name_                       \
            __attribute__((section("punit_failpoints"), used)) = name; \
        failpoint_reached(failpoint_name_, link);                      \
    })

bool failpoint_reached(const char *name, link_t *link);

/* The unit that this thread talks to from here on; "" for none. */
void failpoint_with(const char *unit);

/* Prints the name of each failpoint for `--failpoints`, and gives true. */
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
