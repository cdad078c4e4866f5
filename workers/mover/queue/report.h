/* Report: one line of a datagram from the NGINX module. */
#ifndef PUNIT_MOVER_QUEUE_REPORT_H
#define PUNIT_MOVER_QUEUE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define USER_SIZE 37 /* A uuid as text, with its NUL. */
#define UNIT_SIZE 33

typedef struct {
    /* 'f': requests came here, but a peer owns the user. 'l': this unit served a user that peers
     * forwarded lately. */
    char      kind;
    char      user[USER_SIZE];
    char      unit[UNIT_SIZE]; /* 'f': the owner that the module knows. */
    long long epoch;           /* 'f': the epoch of that owner. */
    long      count;           /* Requests since the last report. */
} report_t;

/* Parses `f <user> <unit> <epoch> <count>` or `l <user> <count>`, without the newline. False if the
 * line is neither. The letters of the uuid become lower case. Pure. */
bool report_parse(const char *line, size_t len, report_t *report);

#endif
