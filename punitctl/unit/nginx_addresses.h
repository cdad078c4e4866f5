/*
 * The addresses of NGINX in its configuration. Where systemd runs the unit, punit-generator makes a
 * socket of each, which stays open while NGINX restarts.
 */
#ifndef PUNITCTL_UNIT_NGINX_ADDRESSES_H
#define PUNITCTL_UNIT_NGINX_ADDRESSES_H

#include "punitctl/unit/unit.h"

/* All of them, in an order that stays; "": there is no configuration yet. */
const char *nginx_addresses_read(const unit_t *unit);

/* Says what the operator must do, if they are no longer as `before` and systemd has the sockets. */
void nginx_addresses_tell(const unit_t *unit, const char *before);

#endif
