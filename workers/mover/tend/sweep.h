/* Sweep: finds in the database what must go on without anybody asking, and keeps it tidy. */
#ifndef PUNIT_MOVER_TEND_SWEEP_H
#define PUNIT_MOVER_TEND_SWEEP_H

/* Body of the sweeper's thread; ends when the process stops. */
void *sweep_run(void *unused);

#endif
