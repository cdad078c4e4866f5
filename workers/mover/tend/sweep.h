/* Sweep: finds the users in the database whose moves must go on without a request, and tidies up.
 */
#ifndef PUNIT_MOVER_TEND_SWEEP_H
#define PUNIT_MOVER_TEND_SWEEP_H

/* Body of the thread; ends when the process stops. */
void *sweep_run(void *unused);

#endif
