/*
 * The certificates of a unit, with the days that they have left.
 */
#ifndef PUNITCTL_UNIT_CERTIFICATE_LIST_H
#define PUNITCTL_UNIT_CERTIFICATE_LIST_H

#include <jansson.h>
#include <stdbool.h>

#include "punitctl/unit/unit.h"

/* A certificate with fewer days is to be replaced. */
#define CERTIFICATE_DAYS 14

/* An array, one object a certificate: name (unit, https, authority), subject, issuer, until, days,
 * path, problem (null: none). */
json_t *certificate_list(const unit_t *unit);

/* True if none of them has a problem or fewer than CERTIFICATE_DAYS days. */
bool certificate_list_good(const json_t *certificates);

#endif
