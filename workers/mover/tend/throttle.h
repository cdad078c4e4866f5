/* Throttle: slows the writes of users whom FENCE cannot catch, because too many rows are left at
 * each try. In SQL and in the log it is called the brake. */
#ifndef PUNIT_MOVER_TEND_THROTTLE_H
#define PUNIT_MOVER_TEND_THROTTLE_H

/* Body of the thread; ends when the process stops. */
void *throttle_run(void *unused);

#endif
