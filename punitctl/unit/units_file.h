/*
 * The units of a system and their addresses: a file with one line a unit.
 *
 *     # id  http            peer listener   PostgreSQL
 *     eu    127.0.0.1:8101  127.0.0.1:8201  127.0.0.1:8301
 *
 * Blanks separate the fields, and # begins a comment. address.h says what an address is. All
 * units use the same file, and each skips itself.
 */
#ifndef PUNITCTL_UNIT_UNITS_FILE_H
#define PUNITCTL_UNIT_UNITS_FILE_H

#include <stddef.h>

#include "punitctl/unit/address.h"

/* Reads the file. NULL with path, line and reason printed. */
unit_address_t *units_file_read(const char *path, size_t *count);

#endif
