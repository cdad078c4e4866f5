/*
 * The table of the verbs. What parses, describes and completes them is made from it.
 */
#ifndef PUNITCTL_VERBS_H
#define PUNITCTL_VERBS_H

#include "punitctl/arguments.h"

/* Ends with a row without words. */
extern const verb_t verbs[];

#endif
