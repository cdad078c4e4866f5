/* Signals: what ends a program, or makes it execute itself again. */
#ifndef PUNIT_LIB_BASE_SIGNALS_H
#define PUNIT_LIB_BASE_SIGNALS_H

#include <signal.h>

/* Blocks SIGTERM, SIGINT and SIGHUP, and gives them for sigwait(3) or signalfd(2). Threads that are
 * created afterwards block them too. A write to a closed socket raises no SIGPIPE any more. */
sigset_t punit_signals_block(void);

#endif
