/*
 * The one JSON object of a run with --json.
 *
 * Nothing else reaches stdout: what a verb prints there is dropped, and what this file collects is
 * printed at the end. Verbs use it through output.h.
 */
#ifndef PUNITCTL_REPORT_H
#define PUNITCTL_REPORT_H

#include <jansson.h>
#include <stdbool.h>

/* Keeps stdout for the object. */
void report_begin(void);

bool report_on(void);

/* Collects a line that a step printed. */
void report_line(const char *line);

/* Collects an error. The first one is the cause, the others are its `more`. `todo` may be NULL. */
void report_error(const char *name, const char *detail, const char *todo);

/* Collects a line that explains the errors so far. */
void report_more(const char *line);

/* The members of `all` become members of the object, which is then the verb's own: it has no
 * `steps` and no `done`. Releases `all`. */
void report_result(json_t *all);

/* One member of the object. Releases `value`. */
void report_fact(const char *name, json_t *value);

/* Prints an object at once, on a line of its own, and releases it. The run then prints a last
 * object only after an error. */
void report_record(json_t *all);

/* Prints the object. `unit` is the unit of the run, or NULL. */
void report_end(int status, const char *unit);

#endif
