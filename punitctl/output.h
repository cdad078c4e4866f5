/*
 * What punitctl prints: one line a step on stdout, one line a failure on stderr, tables for lists.
 *
 * With --json, stdout gets one object instead, at the end of the run. Lines and errors are
 * collected for it. A verb adds its facts, or gives an object of its own.
 */
#ifndef PUNITCTL_OUTPUT_H
#define PUNITCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PENDING = 3, EXIT_INTERRUPTED = 130 };

/* Begins a run: `json` as described above, `quiet` prints nothing but errors. */
void output_begin(bool json, bool quiet);

/* Ends a run: prints the object. Returns `status`. Every way out of the program leads here. */
int output_end(int status);

/* Sets the name put before each line (the unit's id). NULL: none. */
void output_about(const char *subject);

/* Prints one line on stdout and flushes it: progress is seen through a pipe too. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Shows progress on a terminal, each call over the last. Elsewhere it prints nothing. The next
 * output of any kind begins a line of its own. */
void output_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints one line on stderr, "what is wrong" or "what is wrong; what to do about it". The last "; "
 * of the format divides the two, and JSON has them as `detail` and `do`. `name` is the kind of the
 * error, a word of conf/schema/error.json. Returns EXIT_FAILED, for `return output_problem(...)`.
 */
int output_problem(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for an error of no kind: its name is "failed", or "usage" if the run ends with
 * EXIT_USAGE. */
int output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line of another program, which explains the error before it, on stderr. */
void output_more(const char *line);

/* Prints rows x columns cells (row 0: titles). A NULL cell prints as "-". A table that is wider
 * than the terminal is cut at the terminal's width. */
void output_table(const char *const *cells, size_t rows, size_t columns);

/* A member of an object as a cell shows it. NULL: it is null or missing. */
const char *output_value(const json_t *object, const char *name);

/* Prints a table of such members, one row an object. */
void output_objects(const json_t *objects, const char *const *columns, size_t n);

/* The words of a list, divided by blanks, as an array. NULL is an empty list. */
json_t *output_words(const char *list);

/* A number with three decimals, for JSON. */
double output_rounded(double number);

/* A time, in seconds since 1970, as RFC 3339 writes it. 0: null. */
json_t *output_time(double time);

/* Gives the verb's own object. Without --json it does nothing. Releases it. */
void output_json(json_t *value);

/* Prints an object at once, on one line, for a verb that prints again and again. Without --json
 * it does nothing. Releases it. */
void output_record(json_t *value);

/* Adds a member to the object, which has `done` and `steps` (the lines) beside it. Without --json
 * it does nothing. Releases `value`. */
void output_fact(const char *name, json_t *value);

/* Prints a text as it is. In JSON it is a member. */
void output_text(const char *name, const char *text);

#endif
