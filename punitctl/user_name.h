/*
 * A user as the operator names the user: by id, or by e-mail address.
 */
#ifndef PUNITCTL_USER_NAME_H
#define PUNITCTL_USER_NAME_H

#include <libpq-fe.h>

#include "punitctl/unit/unit.h"

/* The user's id (lower case): of a uuid itself, of an e-mail address what the
 * directory of this unit knows. NULL with the reason said. */
const char *user_name_id(const unit_t *unit, PGconn *db, const char *name);

#endif
