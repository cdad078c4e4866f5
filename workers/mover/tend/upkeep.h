/* Upkeep: the thread that audits the copies of done moves and collects garbage. */
#ifndef PUNIT_MOVER_TEND_UPKEEP_H
#define PUNIT_MOVER_TEND_UPKEEP_H

/* Body of the thread; ends when the process stops. */
void *upkeep_run(void *unused);

#endif
