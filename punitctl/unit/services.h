/*
 * The services of a unit: conf/services, the one list of them.
 */
#ifndef PUNITCTL_UNIT_SERVICES_H
#define PUNITCTL_UNIT_SERVICES_H

#include <stddef.h>

typedef struct {
    const char *name;  /* of its folder, program, socket, schema and role */
    const char *paths; /* "sports|activities": first parts of its paths, separated by | */
} service_t;

/* The list as read from the file, once a run for each file. NULL with path, line and reason
 * printed. */
const service_t *services_list(size_t *count);

#endif
