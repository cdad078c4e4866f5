/*
 * Other programs, run without a shell.
 */
#ifndef PUNITCTL_UNIT_PROCESS_H
#define PUNITCTL_UNIT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Runs argv[0] with argv (NULL-terminated) and waits. Its output is shown only if it fails. `extra`
 * are NAME=value settings for its environment, or NULL. True if it exited with 0. */
bool process_run(const char *const *argv, const char *const *extra);

/* The same, with its output as the result. NULL if it failed. */
const char *process_output(const char *const *argv);

/* The process in the first line of a pid file, if its program is called `name`. Else 0: a stale
 * file may name another process. */
pid_t process_of(const char *pid_file, const char *name);

/* Seconds since the process started; -1 if it does not exist. */
double process_age(pid_t pid);

/* The process that started it, 0: it does not exist. */
pid_t process_parent(pid_t pid);

/* Its command line, as the process may have rewritten it: nginx says there what a process is. "" if
 * it does not exist. */
const char *process_title(pid_t pid);

/* The users of a unit whose programs each have a user of their own (conf/sysusers). */
#define PROCESS_DATABASE_USER "punit-db"
#define PROCESS_PROGRAMS      "punit-app" /* the group of all of them */

/* True for such a unit: the one in UNIT_DIRECTORY, if the package's users are there. Every other
 * unit belongs to one user. */
bool process_apart(const char *directory);

/* As root, becomes the user who owns the unit's directory. If the directory does not exist yet,
 * that is the system user `punit`. It is permanent, unless the unit's programs have users of their
 * own: then root stays in reach of the functions below. As another user it does nothing. False with
 * the reason printed. */
bool process_become_owner(const char *directory);

/* Between these two, works as the owner of the directory, or of the one that `path` is in, if that
 * is the user of a program. Only the outer pair counts. Nothing changes where the unit belongs to
 * one user. */
void process_enter(const char *directory);
void process_enter_for(const char *path);
void process_leave(void);

/* Calls `work` as root if root is in reach, else as the present user. What `work` returned. */
bool process_root(bool (*work)(void *context), void *context);

/* kill(2) as root if root is in reach. */
bool process_signal(pid_t pid, int number);

/* Makes `directory` for that user while still root. */
bool process_own_directory(const char *directory, mode_t mode);

/* The name of the user this process runs as. */
const char *process_user(void);

#endif
