/*
 * Strings of one run of punitctl.
 *
 * A run is short: every string is kept until the process ends, so nobody
 * frees one. Running out of memory ends the program.
 */
#ifndef PUNITCTL_TEXT_H
#define PUNITCTL_TEXT_H

#include <stddef.h>

/* printf into a string that lives until the end of the run. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for n bytes at s; the copy ends with a NUL. */
char *text_copy(const char *s, size_t n);

/* Memory for a string of `size` bytes, zeroed, kept like the rest. */
void *text_space(size_t size);

/* `from` replaced by `to` in every place. */
char *text_replace(const char *s, char from, char to);

#endif
