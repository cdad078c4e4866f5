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
    const char *program; /* its name in the kernel */
    const char *socket;  /* under DIR/sock, or NULL */
    const char *run;     /* the template of its run script */
} supervise_process_t;

/* What the supervisor of a process says. */
typedef struct {
    bool        known;    /* a supervisor, systemd or runit, has this process */
    pid_t       pid;      /* 0: it does not run */
    double      since;    /* when it started, in seconds since 1970; 0: unknown */
    long        restarts; /* -1: the supervisor does not count them */
    const char *result;   /* "core-dump", "signal"...: how it ended last, by systemd; else NULL */
} supervise_state_t;

/* All processes of a unit, the services of conf/services among them. NULL with the reason printed.
 */
const supervise_process_t *supervise_processes(size_t *count);

/* Writes the run scripts. */
file_result_t supervise_write(const unit_t *unit);

/* The state of a process: of systemd if systemd runs this unit, else of runit. */
supervise_state_t supervise_state(const unit_t *unit, const supervise_process_t *process);

/* The pid of a process by its supervisor; 0: it does not run. */
pid_t supervise_pid(const unit_t *unit, const char *name);

/* Sends the signal to a process of the unit. True if it runs and got it. SIGHUP makes a service,
 * gridd and the mover begin anew without a lost request. */
bool supervise_signal(const unit_t *unit, const char *name, int signal_number);

#endif
