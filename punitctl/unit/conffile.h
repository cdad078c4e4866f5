/*
 * The configuration files that punitctl writes, and the operator's changes in them.
 *
 * DIR/.written holds digests of what punitctl wrote. A file that is not what punitctl wrote was
 * changed by hand, and it stays as it is. If the text of punitctl has changed since, that text goes
 * beside the file as FILE.new, and the file is named. This is dpkg's habit with its conffiles.
 */
#ifndef PUNITCTL_UNIT_CONFFILE_H
#define PUNITCTL_UNIT_CONFFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

/* Makes DIR/<path> hold `content`, unless it was changed by hand. FILE_KEPT then, and
 * conffile_end counts it if a FILE.new waits for the operator. */
file_result_t conffile_write(const unit_t *unit, const char *path, const char *content, size_t size,
                             mode_t mode);

/* From here on, files that were changed by hand are written too, and kept as FILE.old. */
void conffile_force(bool force);

/* Ends the verb's writing: EXIT_OK, or EXIT_FAILED if files were named by conffile_write. */
int conffile_end(const unit_t *unit);

/* True if DIR/.written exists. A unit of release 0.2.0 has none. */
bool conffile_known(const unit_t *unit);

/* Between the two calls, conffile_write writes nothing. It only notes a file as written by punitctl
 * if the file holds `content`. The second call makes DIR/.written. */
void conffile_note_begin(void);
bool conffile_note_end(const unit_t *unit);

#endif
