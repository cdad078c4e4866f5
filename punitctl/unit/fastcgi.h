/*
 * A question to a service of the unit, by its socket and past NGINX.
 */
#ifndef PUNITCTL_UNIT_FASTCGI_H
#define PUNITCTL_UNIT_FASTCGI_H

#include "punitctl/unit/unit.h"

/* What the service answers to GET `path`: headers, an empty line and the body. NULL: it does not
 * answer within 10 s. */
const char *fastcgi_get(const unit_t *unit, const char *service, const char *path);

#endif
