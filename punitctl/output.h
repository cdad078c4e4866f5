/*
 * What punitctl tells its user: one line a step on stdout, one line a
 * failure on stderr, tables for lists.
 */
#ifndef PUNITCTL_OUTPUT_H
#define PUNITCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PENDING = 3 };

/* The name put before each line (the unit's id); NULL: none. */
void say_about(const char *subject);

/* One line on stdout, flushed: progress is seen also through a pipe. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From here on stdout is for JSON: say and say_progress print nothing. */
void say_nothing(void);

/* How far something is, on a terminal over itself; elsewhere nothing. What is
 * said next begins a line of its own. */
void say_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line on stderr; returns EXIT_FAILED, so `return complain(...)`. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints rows x columns cells (row 0: titles), each column as wide as needed;
 * a NULL cell prints as "-". */
void say_table(const char *const *cells, size_t rows, size_t columns);

/* A member of an object as a cell shows it; NULL: it is null or not there. */
const char *say_value(const json_t *object, const char *name);

/* A table of such members, one row an object. */
void say_objects(const json_t *objects, const char *const *columns, size_t n);

#endif
