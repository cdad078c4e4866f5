/*
 * The unit's NGINX, as it answers on this machine.
 */
#ifndef PUNITCTL_UNIT_NGINX_STATE_H
#define PUNITCTL_UNIT_NGINX_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* What NGINX and the services say of themselves, as an object. Member nginx is "ok", or the reason.
 * Member services is an array of service, status and wrong, and marks one of peer and mark. The
 * flag becomes false if NGINX or one of the services does not answer with 200. */
json_t *nginx_state(const unit_t *unit, bool *good);

/* Asks the listener of a peer, as this unit's NGINX does: TLS 1.3, both sides named. NULL: it
 * answers. Else the reason. */
const char *nginx_state_ask_peer(const unit_t *unit, const char *peer, const char *listener);

#endif
