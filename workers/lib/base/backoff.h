/* Back-off: a pause that doubles with each failure. */
#ifndef PUNIT_LIB_BASE_BACKOFF_H
#define PUNIT_LIB_BASE_BACKOFF_H

/* The pause in ms after `failures` earlier ones: `first` after none, then twice as long each time,
 * `most` at most. */
long punit_backoff_ms(int failures, long first, long most);

#endif
