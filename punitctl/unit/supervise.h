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

struct unit_process {
    const char *name;    /* of its service directory and log */
    const char *program; /* as the kernel calls it */
    const char *socket;  /* under DIR/sock, or NULL */
};

extern const struct unit_process unit_processes[];
extern const size_t              unit_process_count;

/* Writes the run scripts. */
enum file_result supervise_write(const struct unit *unit);

/* What the supervisor says of a process: its pid, 0: not running. */
pid_t supervise_pid(const struct unit *unit, const char *name);

#endif
