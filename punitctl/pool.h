/*
 * Strings of one run of punitctl.
 *
 * A run is short, so each string lives until the process ends and no caller frees one.
 */
#ifndef PUNITCTL_POOL_H
#define PUNITCTL_POOL_H

#include <stddef.h>

/* As sprintf(3), into a string that lives until the end of the run. */
char *pool_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A copy of n bytes at s, ended by a NUL. */
char *pool_copy(const char *s, size_t n);

/* Memory of `size` bytes, zeroed. */
void *pool_alloc(size_t size);

/* A copy with each `from` replaced by `to`. */
char *pool_replace(const char *s, char from, char to);

#endif
