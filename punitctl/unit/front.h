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
enum file_result front_write(const struct unit *unit);

/* unit/peers.conf: a punit_peer and an upstream for each of the units but
 * this one. */
enum file_result front_write_peers(const struct unit *unit, const struct unit_address *units,
                                   size_t count);

/* Checks the configuration (nginx -t). */
bool front_check(const struct unit *unit);

/* Tells a running NGINX to read its configuration, if that is good. */
bool front_reload(const struct unit *unit);

/* The program; NULL with the reason said. */
const char *front_program(void);

#endif
