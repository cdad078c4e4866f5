/*
 * The public side of the unit's NGINX: HTTP, HTTPS for clients, the way from one to the other, and
 * the proxies before it.
 */
#ifndef PUNITCTL_UNIT_NGINX_PUBLIC_H
#define PUNITCTL_UNIT_NGINX_PUBLIC_H

#include <stdbool.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* PUNIT_HTTPS, or NULL if there is no HTTPS. */
const char *nginx_public_https(const unit_t *unit);

/* What is wrong with PUNIT_HTTPS_REDIRECT or PUNIT_REAL_IP_FROM. NULL: nothing. */
const char *nginx_public_problem(const unit_t *unit);

/* The map that names the place where a request in clear text is sent, of NGINX's http level. NULL
 * with the reason printed. */
const char *nginx_public_map(const unit_t *unit);

/* Writes unit/public.conf. `http2`: NGINX has that directive, and not only the word of `listen`. */
file_result_t nginx_public_write(const unit_t *unit, bool http2);

#endif
