/*
 * The units of a system and their addresses: a file of one line a unit,
 *
 *     # id  http            peer listener   PostgreSQL
 *     eu    127.0.0.1:8101  127.0.0.1:8201  127.0.0.1:8301
 *
 * fields separated by blanks, # to the end of the line ignored. Addresses are
 * IPv4 address and port: certificates name units, not hosts, so no name has to
 * be resolved. The same file serves every unit; each skips itself.
 */
#ifndef PUNITCTL_UNIT_UNITS_FILE_H
#define PUNITCTL_UNIT_UNITS_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *id;
    const char *http;
    const char *listener;
    const char *pg;
} unit_address_t;

/* True for "a.b.c.d:port". */
bool address_valid(const char *address);

/* "127.0.0.1" of "127.0.0.1:80"; "80" is address_port. */
const char *address_host(const char *address);
const char *address_port(const char *address);

/* Reads the file; NULL with path, line and reason said. */
unit_address_t *units_file_read(const char *path, size_t *count);

#endif
