/*
 * What punitctl prints: one line a step on stdout, one line a failure on stderr, tables for lists,
 * or JSON.
 */
#ifndef PUNITCTL_OUTPUT_H
#define PUNITCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PENDING = 3 };

/* Sets the name put before each line (the unit's id). NULL: none. */
void output_about(const char *subject);

/* Prints one line on stdout and flushes it: progress is seen through a pipe too. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reserves stdout for JSON: output_line and output_progress print nothing from here on. */
void output_silence(void);

/* Shows progress on a terminal, each call over the last. Elsewhere it prints nothing. The next
 * output of any kind begins a line of its own. */
void output_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints one line on stderr. Returns EXIT_FAILED, for `return output_error(...)`. */
int output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints rows x columns cells (row 0: titles). A NULL cell prints as "-". A table that is wider
 * than the terminal is cut at the terminal's width. */
void output_table(const char *const *cells, size_t rows, size_t columns);

/* A member of an object as a cell shows it. NULL: it is null or missing. */
const char *output_value(const json_t *object, const char *name);

/* Prints a table of such members, one row an object. */
void output_objects(const json_t *objects, const char *const *columns, size_t n);

/* A number with three decimals, for JSON. */
double output_rounded(double number);

/* A time, in seconds since 1970, as RFC 3339 writes it. 0: null. */
json_t *output_time(double time);

/* Prints a JSON value with indentation and releases it. */
void output_json(json_t *value);

#endif
