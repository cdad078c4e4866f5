/* Mover: a thread that looks after one user at a time. */
#ifndef PUNIT_MOVER_MOVER_H
#define PUNIT_MOVER_MOVER_H

/* Body of a mover thread; ends when the process stops. */
void *mover_run(void *unused);

#endif
