/* Keep: what remains of moves. Audits copies once moves are done, removes cold ones, forgets old
 * deletions. */
#ifndef PUNIT_MOVER_TEND_KEEP_H
#define PUNIT_MOVER_TEND_KEEP_H

/* Body of the keeper's thread; ends when the process stops. */
void *keep_run(void *unused);

#endif
