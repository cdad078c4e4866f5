/* Stop: the end of the process. */
#ifndef PUNIT_MOVER_STOP_H
#define PUNIT_MOVER_STOP_H

#include <stdbool.h>

/* SIGTERM came: nothing new is begun; what runs has 1.5 s to end. */
void stop_begin(void);

/* Nothing new may be begun. */
bool stopping(void);

/* The 1.5 s are over: every wait fails. What is cut off here is taken up after the next start. */
bool stop_now(void);

#endif
