/*
 * The configuration files that punitctl writes, and the operator's changes in them.
 *
 * DIR/.written holds digests of what punitctl wrote. A file that is not what punitctl wrote was
 * changed by hand, and it stays as it is. If the text of punitctl has changed since, that text goes
 * beside the file as FILE.new, and the file is named. This is dpkg's habit with its conffiles.
 */
#ifndef PUNITCTL_UNIT_WRITTEN_H
#define PUNITCTL_UNIT_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Makes DIR/<path> hold `content`, unless it was changed by hand. FILE_KEPT then, and
 * written_refused counts it if a FILE.new waits for the operator. */
file_result_t written_file(const unit_t *unit, const char *path, const char *content, size_t size,
                           mode_t mode);

/* From here on, files that were changed by hand are written too, and kept as FILE.old. */
void written_force(bool force);

/* Ends the verb's writing: EXIT_OK, or EXIT_FAILED if files were named by written_file. */
int written_end(const unit_t *unit);

/* True if DIR/.written exists. A unit of release 0.2.0 has none. */
bool written_known(const unit_t *unit);

/* Between the two calls, written_file writes nothing. It only notes a file as written by punitctl
 * if the file holds `content`. The second call makes DIR/.written. */
void written_recall_begin(void);
bool written_recall_end(const unit_t *unit);

#endif
