/*
 * A file that the caller gets, with the rights of the caller.
 *
 * As root, punitctl becomes the unit's user. Its writer is begun before that: it is a process that
 * keeps the caller's rights and writes one file.
 */
#ifndef PUNITCTL_UNIT_CALLER_FILE_H
#define PUNITCTL_UNIT_CALLER_FILE_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    int   to; /* a pipe */
} caller_file_t;

/* Makes the file, for the caller alone (0600). A file that exists is refused. False with the reason
 * printed. */
bool caller_file_begin(caller_file_t *writer, const char *path);

/* Writes the content and ends the writer. NULL: the file is removed again. False: there is no
 * file, with the reason printed. */
bool caller_file_end(caller_file_t *writer, const char *content);

#endif
