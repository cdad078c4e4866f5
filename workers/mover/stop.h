/* Stop: the end of the process. */
#ifndef PUNIT_MOVER_STOP_H
#define PUNIT_MOVER_STOP_H

#include <stdbool.h>

/* Begins the end: no thread starts new work, and running work has 1.5 s left. */
void stop_begin(void);

/* Whether the end has begun. */
bool stop_begun(void);

/* Whether the 1.5 s are over: every wait fails then. The next start resumes the work that this cuts
 * off. */
bool stop_now(void);

#endif
