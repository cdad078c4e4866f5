/*
 * Other programs, run without a shell.
 */
#ifndef PUNITCTL_UNIT_PROCESS_H
#define PUNITCTL_UNIT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Runs argv[0] with argv (NULL-terminated) and waits. What it prints is shown
 * only if it fails. `extra` are NAME=value settings for its environment, or
 * NULL. True if it exited with 0. */
bool process_run(const char *const *argv, const char *const *extra);

/* The process in a pid file (its first line) whose program is called `name`;
 * 0 if there is none: a stale file may name a stranger. */
pid_t process_of(const char *pid_file, const char *name);

/* Seconds since the process started; -1 if there is none. */
double process_age(pid_t pid);

/* As root: become the user who owns a unit, for good. `directory` is the
 * unit's; before it exists, the system user `punit`. No-op for others.
 * False with the reason said. */
bool process_become_owner(const char *directory);

/* Makes `directory` for that user while still root. */
bool process_own_directory(const char *directory, mode_t mode);

/* The name of the user this process runs as. */
const char *process_user(void);

#endif
