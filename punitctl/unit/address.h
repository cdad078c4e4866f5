/*
 * An IPv4 address and port, "127.0.0.1:8101".
 */
#ifndef PUNITCTL_UNIT_ADDRESS_H
#define PUNITCTL_UNIT_ADDRESS_H

#include <stdbool.h>

/* True for "a.b.c.d:port". */
bool address_valid(const char *address);

/* The host and the port of a valid address. */
const char *address_host(const char *address);
const char *address_port(const char *address);

#endif
