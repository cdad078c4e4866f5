/*
 * The unit's NGINX: its files under DIR/nginx, made from conf/, and its reload.
 */
#ifndef PUNITCTL_UNIT_NGINX_H
#define PUNITCTL_UNIT_NGINX_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/address.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Writes nginx.conf, punit_locations, the parameter files and
 * unit/{main,http,public,listener,admin}.conf.
 */
file_result_t nginx_write(const unit_t *unit);

/* Writes unit/peers.conf: a punit_peer and an upstream for each of the units but this one. */
file_result_t nginx_write_peers(const unit_t *unit, const unit_address_t *units, size_t count);

/* True if the program is of this version or newer. */
bool nginx_is(int major, int minor, int patch);

/* Makes a running NGINX read its configuration, and waits until that is in force. False with
 * NGINX's reason printed if NGINX keeps the old one. True if no NGINX runs. */
bool nginx_reload(const unit_t *unit);

/* Path of the program: PUNIT_NGINX, else where Debian or nginx's own installation puts it. NULL
 * with the reason printed. */
const char *nginx_program(void);

#endif
