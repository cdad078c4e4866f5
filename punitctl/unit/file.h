/*
 * Files and directories of a unit, made so that doing it twice changes
 * nothing. Every failure is said with the path and the system's reason.
 */
#ifndef PUNITCTL_UNIT_FILE_H
#define PUNITCTL_UNIT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum { FILE_FAILED = -1, FILE_KEPT = 0, FILE_WRITTEN = 1 } file_result_t;

bool file_exists(const char *path);

/* The whole file, NUL-terminated, at most 64 MiB; NULL with the reason said.
 * `size` may be NULL. */
char *file_read(const char *path, size_t *size);

/* Makes the file hold `content`: written beside it and renamed, so that a
 * reader sees the old or the new one, and left alone when it holds it now. */
file_result_t file_write(const char *path, const char *content, size_t size, mode_t mode);

/* The directory and the missing ones above it; `mode` is for the last. */
file_result_t file_make_directory(const char *path, mode_t mode);

/* path without links and dots; the file must exist. NULL if it does not. */
char *file_real(const char *path);

/* An absolute spelling of a path that need not exist yet. */
char *file_absolute(const char *path);

#endif
