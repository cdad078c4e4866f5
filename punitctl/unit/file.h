/*
 * Files and directories of a unit. Making one twice changes nothing. Every failure is printed with
 * the path and the system's reason.
 */
#ifndef PUNITCTL_UNIT_FILE_H
#define PUNITCTL_UNIT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum { FILE_FAILED = -1, FILE_KEPT = 0, FILE_WRITTEN = 1 } file_result_t;

/* The result of several steps: FILE_FAILED if one failed, else FILE_WRITTEN if one wrote. */
file_result_t file_result_of(const file_result_t *results, size_t count);

bool file_exists(const char *path);

/* The whole file, at most 64 MiB, ended by a NUL. NULL with the reason printed. `size` may be NULL.
 */
char *file_read(const char *path, size_t *size);

/* Makes the file hold `content`. The new file is written beside the old one and renamed, so a
 * reader sees either. A file that holds it already is not touched. */
file_result_t file_write(const char *path, const char *content, size_t size, mode_t mode);

typedef struct {
    const char *path, *content;
    size_t      size;
    mode_t      mode;
    bool        later; /* file_sync follows */
} file_content_t;

/* The same for several files, at most FILE_TOGETHER of them. All new files are on disk before the
 * first one is renamed. */
#define FILE_TOGETHER 8
file_result_t file_write_together(const file_content_t *files, size_t count);

/* unlink(2) and rename(2), as the owner of the directory. */
bool file_remove(const char *path);
bool file_rename(const char *from, const char *to);

/* Waits until the file is on disk. */
void file_sync(const char *path);

/* Makes the file unless it is there. Several processes may call at the same time: one writes it,
 * and the others find it whole (FILE_KEPT). */
file_result_t file_create(const char *path, const char *content, mode_t mode);

/* Makes the directory and the missing ones above it. `mode` is for the last one. */
file_result_t file_make_directory(const char *path, mode_t mode);

/* The path without links and dots. NULL if the file does not exist. */
char *file_real(const char *path);

/* Where a link leads to, which need not exist. NULL: the path is no link. */
char *file_link_target(const char *path);

/* An absolute spelling of a path that need not exist yet. A link to nothing gives its target. */
char *file_absolute(const char *path);

#endif
