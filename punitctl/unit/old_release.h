/*
 * Units of release 0.2.0, which kept no record of what punitctl wrote.
 */
#ifndef PUNITCTL_UNIT_OLD_RELEASE_H
#define PUNITCTL_UNIT_OLD_RELEASE_H

#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* Notes each file that is as punitctl 0.2.0 wrote it, unless the unit has a record or is
 * new. False with the reason printed. */
bool old_release_note(const unit_t *now);

#endif
