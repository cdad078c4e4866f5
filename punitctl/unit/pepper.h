/*
 * The pepper: the key of the hashes of e-mail addresses, 32 bytes, the same in all units.
 */
#ifndef PUNITCTL_UNIT_PEPPER_H
#define PUNITCTL_UNIT_PEPPER_H

#include <stdbool.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* True if the unit has one. */
bool pepper_is_there(const unit_t *unit);

/* The pepper of a file that all units share, made if absent. Two units that are made at the same
 * time make it once. NULL with the reason printed. *made: what was done. */
const char *pepper_shared(const char *file, file_result_t *made);

/* Puts a pepper (NULL: a fresh one) into private/. `from` is where it comes from, for a reader.
 * FILE_FAILED with the reason printed: it is no pepper, or the unit has another one. */
file_result_t pepper_put(const unit_t *unit, const char *pepper, const char *from);

#endif
