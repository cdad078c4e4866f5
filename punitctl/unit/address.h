/*
 * The addresses of a unit. Each has a port: "127.0.0.1:8101", "[::1]:8101" or
 * "eu.example.org:8101".
 */
#ifndef PUNITCTL_UNIT_ADDRESS_H
#define PUNITCTL_UNIT_ADDRESS_H

typedef struct {
    const char *id;
    const char *http;     /* for clients */
    const char *listener; /* for the NGINX of a peer */
    const char *pg;       /* PostgreSQL */
} unit_address_t;

/* What is wrong with an address, as the end of a message. NULL: it is good, and its name can be
 * resolved. */
const char *address_problem(const char *address);

/* The host, without brackets, and the port of a good address. */
const char *address_host(const char *address);
const char *address_port(const char *address);

/* The IP addresses of its host in a fixed order, with commas between. NULL: it has none now. */
const char *address_numbers(const char *address);

#endif
