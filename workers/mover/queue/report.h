/* Report: one line of a datagram from the NGINX module. */
#ifndef PUNIT_MOVER_QUEUE_REPORT_H
#define PUNIT_MOVER_QUEUE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define USER_SIZE 37 /* uuid as text, NUL-ended */
#define UNIT_SIZE 33

typedef struct {
    char kind; /* 'f': asked for here, owned elsewhere; 'l': served here, forwarded by peers lately
                */
    char      user[USER_SIZE];
    char      unit[UNIT_SIZE]; /* 'f': the owner as the module believes */
    long long epoch;           /* 'f' */
    long      count;           /* requests since the last report */
} report_t;

/* Parses `f <user> <unit> <epoch> <count>` or `l <user> <count>`, without the newline. Pure; false
 * when the line is neither. Letters of the uuid become lower case. */
bool report_parse(const char *line, size_t len, report_t *report);

#endif
