/* Brake: slows users of this unit who write so fast that another unit's FENCE never finds little
 * enough left. */
#ifndef PUNIT_MOVER_TEND_THROTTLE_H
#define PUNIT_MOVER_TEND_THROTTLE_H

/* Body of the brake's thread; ends when the process stops. */
void *brake_run(void *unused);

#endif
