/*
 * The admin side of a unit's NGINX: where it listens, the names it answers to, and requests to it.
 */
#ifndef PUNITCTL_UNIT_NGINX_ADMIN_H
#define PUNITCTL_UNIT_NGINX_ADMIN_H

#include <stdbool.h>

#include "punitctl/unit/http_request.h"
#include "punitctl/unit/unit.h"

/* False, with the reason printed, if PUNIT_ADMIN_HOSTS is not as it must be. */
bool nginx_admin_valid(const unit_t *unit);

/* PUNIT_ADMIN, or NULL if it is off. */
const char *nginx_admin_address(const unit_t *unit);

/* The values of Host that are this unit's, as alternatives of a regular expression. */
const char *nginx_admin_names(const unit_t *unit);

/* Asks the unit's NGINX through DIR/sock/admin.sock. `body` is JSON, or NULL. */
http_request_answer_t nginx_admin_request(const unit_t *unit, const char *method, const char *path,
                                          const char *body);

#endif
