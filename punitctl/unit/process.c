#include "punitctl/unit/process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

#define SYSTEM_USER   "punit"
#define PROGRAM_USERS "punit-"

/* The user that root has become, with root still in reach. NULL: there is no way back. */
static const struct passwd *worker;
static int                  entered;


static void
become_program(const char *const *argv, const char *const *extra, int output)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    /* What is run is that user for good. */
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0
        || (uid != getuid() && (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)))
    {
        _exit(126);
    }
    for (; extra != NULL && *extra != NULL; extra++) {
        putenv((char *) (void *) *extra);
    }
    execvp(argv[0], (char *const *) (void *) argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}


/* The output of a program that exited with 0. NULL otherwise, with the reason printed. */
static FILE *
run(const char *const *argv, const char *const *extra)
{
    FILE *output = tmpfile();
    char  line[512];
    int   status;
    pid_t pid;

    if (output == NULL) {
        output_problem("program-failed", "cannot make a temporary file: %s", strerror(errno));
        return NULL;
    }
    pid = fork();
    if (pid == 0) {
        become_program(argv, extra, fileno(output));
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        output_problem("program-failed", "cannot run %s: %s", argv[0], strerror(errno));
        fclose(output);
        return NULL;
    }
    rewind(output);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return output;
    }
    output_problem("program-failed", "%s failed (%s %d). Its output:", argv[0],
                   WIFEXITED(status) ? "status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    while (fgets(line, sizeof(line), output) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        output_more(line);
    }
    fclose(output);
    return NULL;
}


bool
process_run(const char *const *argv, const char *const *extra)
{
    FILE *output = run(argv, extra);

    if (output != NULL) {
        fclose(output);
    }
    return output != NULL;
}


const char *
process_output(const char *const *argv)
{
    FILE  *output = run(argv, NULL);
    char   bytes[4096];
    size_t n;

    if (output == NULL) {
        return NULL;
    }
    n = fread(bytes, 1, sizeof(bytes), output);
    fclose(output);
    return pool_copy(bytes, n);
}


/* The line of proc(5), "pid (name) state parent ...", from the end of the name on. The name may
 * hold any character. NULL if the process is a zombie or does not exist. */
static const char *
process_stat(pid_t pid, char *line, int size)
{
    FILE *file = fopen(pool_printf("/proc/%d/stat", (int) pid), "re");
    char *at;

    if (file == NULL) {
        return NULL;
    }
    at = fgets(line, size, file);
    fclose(file);
    at = at != NULL ? strrchr(line, ')') : NULL;
    return at != NULL && strncmp(at, ") Z", 3) != 0 ? at : NULL;
}


pid_t
process_of(const char *pid_file, const char *name)
{
    char        line[1024] = "";
    const char *end, *begin;
    long        pid = 0;
    FILE       *file;

    process_enter_for(pid_file);
    file = fopen(pid_file, "re");
    process_leave();
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        pid = strtol(line, NULL, 10);
    }
    fclose(file);
    end = pid > 1 ? process_stat((pid_t) pid, line, sizeof(line)) : NULL;
    begin = end != NULL ? strchr(line, '(') : NULL;
    if (begin == NULL) {
        return 0;
    }
    /* The kernel keeps 15 bytes of a name. */
    begin++;
    if ((size_t) (end - begin) != strnlen(name, 15)
        || memcmp(begin, name, (size_t) (end - begin)) != 0) {
        return 0;
    }
    return (pid_t) pid;
}


double
process_age(pid_t pid)
{
    unsigned long long started;
    struct timespec    now;
    char               line[1024];
    const char        *at = process_stat(pid, line, sizeof(line));

    /* starttime is field 22, and the state after ")" is field 3. */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, "%llu", &started) != 1) {
        return -1;
    }
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9
           - (double) started / (double) sysconf(_SC_CLK_TCK);
}


pid_t
process_parent(pid_t pid)
{
    char        line[1024];
    const char *at = process_stat(pid, line, sizeof(line));
    int         parent;

    return at != NULL && sscanf(at, ") %*c %d", &parent) == 1 ? (pid_t) parent : 0;
}


const char *
process_title(pid_t pid)
{
    FILE  *file = fopen(pool_printf("/proc/%d/cmdline", (int) pid), "re");
    char   line[256];
    size_t n;

    if (file == NULL) {
        return "";
    }
    n = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[n] = '\0';
    n = strlen(line);
    while (n > 0 && line[n - 1] == ' ') {
        line[--n] = '\0'; /* nginx fills the place of its old arguments with blanks. */
    }
    return pool_printf("%s", line);
}


static const struct passwd *
system_user(void)
{
    const struct passwd *user = getpwnam(SYSTEM_USER);

    if (user == NULL) {
        output_problem("no-rights", "PostgreSQL and memcached refuse to run as root, and there is"
                                    " no user " SYSTEM_USER "; make it with: adduser --system"
                                    " --group --no-create-home --home /nonexistent " SYSTEM_USER);
    }
    return user;
}


bool
process_own_directory(const char *directory, mode_t mode)
{
    const struct passwd *user;

    if (file_make_directory(directory, mode) == FILE_FAILED) {
        return false;
    }
    if (geteuid() != 0) {
        return true;
    }
    user = system_user();
    if (user == NULL) {
        return false;
    }
    if (chown(directory, user->pw_uid, user->pw_gid) < 0) {
        output_problem("no-rights", "cannot give %s to %s: %s", directory, user->pw_name,
                       strerror(errno));
        return false;
    }
    return true;
}


bool
process_apart(const char *directory)
{
    const char *unit = file_real(UNIT_DIRECTORY), *real = file_real(directory);

    return unit != NULL && real != NULL && strcmp(unit, real) == 0
           && getpwnam(PROCESS_DATABASE_USER) != NULL;
}


/* Works as the user, with that user's groups. Root stays in reach. */
static bool
work_as(const struct passwd *user)
{
    return seteuid(0) == 0 && initgroups(user->pw_name, user->pw_gid) == 0
           && setegid(user->pw_gid) == 0 && seteuid(user->pw_uid) == 0;
}


bool
process_become_owner(const char *directory)
{
    static struct passwd kept;
    const struct passwd *user;
    struct stat          st;
    bool                 ok;

    if (geteuid() != 0) {
        return true;
    }
    user = stat(directory, &st) == 0 && st.st_uid != 0 ? getpwuid(st.st_uid) : system_user();
    if (user == NULL) {
        return false;
    }
    kept = *user;
    kept.pw_name = pool_printf("%s", user->pw_name);
    if (process_apart(directory)) {
        worker = &kept;
        ok = work_as(worker);
    } else {
        ok = initgroups(kept.pw_name, kept.pw_gid) == 0 && setgid(kept.pw_gid) == 0
             && setuid(kept.pw_uid) == 0;
    }
    if (!ok) {
        output_problem("no-rights", "cannot become %s: %s", kept.pw_name, strerror(errno));
    }
    return ok;
}


void
process_enter(const char *directory)
{
    const struct passwd *user;
    struct stat          st;

    if (worker == NULL || entered++ > 0 || stat(directory, &st) < 0 || st.st_uid == 0
        || st.st_uid == worker->pw_uid)
    {
        return;
    }
    user = getpwuid(st.st_uid);
    if (user != NULL && strncmp(user->pw_name, PROGRAM_USERS, strlen(PROGRAM_USERS)) == 0
        && !work_as(user) && !work_as(worker))
    {
        _exit(EXIT_FAILED);
    }
}


void
process_enter_for(const char *path)
{
    const char *slash = strrchr(path, '/');

    process_enter(slash != NULL && slash > path ? pool_printf("%.*s", (int) (slash - path), path)
                                                : "/");
}


void
process_leave(void)
{
    int error = errno;

    if (worker != NULL && --entered == 0 && geteuid() != worker->pw_uid && !work_as(worker)) {
        _exit(EXIT_FAILED);
    }
    errno = error;
}


bool
process_root(bool (*work)(void *context), void *context)
{
    bool ok;

    if (worker == NULL) {
        return work(context);
    }
    if (seteuid(0) < 0) {
        return false;
    }
    ok = work(context);
    if (!work_as(worker)) {
        _exit(EXIT_FAILED);
    }
    return ok;
}


typedef struct {
    pid_t pid;
    int   number, error;
} signal_t;


static bool
send_signal(void *context)
{
    signal_t *sent = context;

    sent->error = kill(sent->pid, sent->number) < 0 ? errno : 0;
    return sent->error == 0;
}


bool
process_signal(pid_t pid, int number)
{
    signal_t sent = { pid, number, EPERM };
    bool     ok = process_root(send_signal, &sent);

    errno = sent.error;
    return ok;
}


const char *
process_user(void)
{
    const struct passwd *user = getpwuid(geteuid());

    return pool_printf("%s", user != NULL ? user->pw_name : "nobody");
}
