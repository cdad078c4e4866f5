/*
 * The unit's processes and their runit service directories, DIR/sv/<name>.
 */
#ifndef PUNITCTL_UNIT_SUPERVISE_H
#define PUNITCTL_UNIT_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

typedef struct {
    const char *name;    /* of its service directory and log */
    const char *program; /* as the kernel calls it */
    const char *socket;  /* under DIR/sock, or NULL */
} unit_process_t;

extern const unit_process_t unit_processes[];
extern const size_t         unit_process_count;

/* Writes the run scripts. */
file_result_t supervise_write(const unit_t *unit);

/* What the supervisor says of a process: its pid, 0: not running. */
pid_t supervise_pid(const unit_t *unit, const char *name);

#endif
