/*
 * The unit's NGINX: its files under DIR/nginx, a copy of conf/ and the parts
 * that differ from unit to unit, and its reload.
 */
#ifndef PUNITCTL_UNIT_FRONT_H
#define PUNITCTL_UNIT_FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"
#include "punitctl/unit/units_file.h"

/* Copies conf/ and writes unit/{main,http,public,listener}.conf. */
file_result_t nginx_write(const unit_t *unit);

/* unit/peers.conf: a punit_peer and an upstream for each of the units but
 * this one. */
file_result_t nginx_write_peers(const unit_t *unit, const unit_address_t *units, size_t count);

/* Checks the configuration (nginx -t). */
bool nginx_check(const unit_t *unit);

/* Tells a running NGINX to read its configuration, if that is good. */
bool nginx_reload(const unit_t *unit);

/* The program; NULL with the reason said. */
const char *nginx_program(void);

#endif
