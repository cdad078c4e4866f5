/*
 * Makes a running NGINX read its configuration, and finds out whether it took it.
 *
 * `nginx -t` is no help: it binds the addresses as this process may, and this process may not bind
 * a port below 1024. The master may. On SIGHUP it tries the new configuration, and keeps the old
 * one, with [emerg] lines in its log, if the new one is no good. If it is, new workers start and
 * the old ones end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/process.h"
#include "punitctl/wait.h"

#define WORKERS_MOST 1024
#define READ_S       30
#define BEGIN_S      5

typedef struct {
    pid_t  pid[WORKERS_MOST];
    size_t count;
} workers_t;

typedef struct {
    pid_t       master;
    workers_t   old;
    const char *log;
    off_t       seen;   /* the log is read from here on */
    const char *reason; /* the last [emerg] line; NULL: none */
    bool        taken, ended;
} reload_t;


/* The workers of a master that take connections. */
static void
find_workers(pid_t master, workers_t *workers)
{
    DIR                 *dir = opendir("/proc");
    const struct dirent *entry;

    workers->count = 0;
    while (dir != NULL && workers->count < WORKERS_MOST && (entry = readdir(dir)) != NULL) {
        pid_t pid = (pid_t) strtol(entry->d_name, NULL, 10);

        if (pid > 0 && process_parent(pid) == master
            && strcmp(process_title(pid), "nginx: worker process") == 0)
        {
            workers->pid[workers->count++] = pid;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}


static bool
begun(void *context)
{
    reload_t *reload = context;

    find_workers(reload->master, &reload->old);
    return reload->old.count > 0;
}


static bool
has(const workers_t *workers, pid_t pid)
{
    for (size_t i = 0; i < workers->count; i++) {
        if (workers->pid[i] == pid) {
            return true;
        }
    }
    return false;
}


/* True if other workers than before, and none of those, take connections. */
static bool
changed(const reload_t *reload)
{
    static workers_t now;

    find_workers(reload->master, &now);
    for (size_t i = 0; i < now.count; i++) {
        if (has(&reload->old, now.pid[i])) {
            return false;
        }
    }
    return now.count > 0;
}


/* What the master has logged as [emerg] since the reload began: the last such line. */
static const char *
read_reason(const reload_t *reload)
{
    const char *mark = pool_printf("[emerg] %d#", (int) reload->master);
    const char *reason = reload->reason;
    FILE       *file = fopen(reload->log, "re");
    char        line[2048];

    if (file == NULL || fseeko(file, reload->seen, SEEK_SET) < 0) {
        if (file != NULL) {
            fclose(file);
        }
        return reason;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, mark);
        const char *text = at != NULL ? strstr(at, ": ") : NULL;

        if (text != NULL) {
            reason = pool_printf("%.*s", (int) strcspn(text + 2, "\n"), text + 2);
        }
    }
    fclose(file);
    return reason;
}


/* A master tries an address five times before it gives up, and each try is an [emerg] line. */
static bool
final(const char *reason)
{
    return reason != NULL && strncmp(reason, "bind() to ", 10) != 0;
}


static bool
settled(void *context)
{
    reload_t *reload = context;

    reload->reason = read_reason(reload);
    reload->ended = !process_signal(reload->master, 0) && errno == ESRCH;
    reload->taken = !reload->ended && changed(reload);
    return reload->taken || reload->ended || final(reload->reason);
}


static bool
ask(const unit_t *unit, reload_t *reload)
{
    struct stat log;

    if (!wait_until(begun, reload, BEGIN_S)) {
        output_problem("nginx", "NGINX (pid %d) has no worker processes; it does not serve",
                       (int) reload->master);
        return false;
    }
    reload->log = unit_path(unit, "log/nginx.log");
    reload->seen = stat(reload->log, &log) == 0 ? log.st_size : 0;
    if (!process_signal(reload->master, SIGHUP)) {
        output_problem("nginx", "cannot tell NGINX (pid %d) to read its configuration: %m",
                       (int) reload->master);
        return false;
    }
    wait_until(settled, reload, READ_S);
    if (reload->taken) {
        output_line("NGINX (pid %d) has read its configuration again", (int) reload->master);
        return true;
    }
    output_problem("nginx", "NGINX %s: %s",
                   reload->ended ? "ended" : "keeps the configuration that it has",
                   reload->reason != NULL ? reload->reason
                                          : pool_printf("it gives no reason in %s", reload->log));
    return false;
}


bool
nginx_reload(const unit_t *unit)
{
    const char     *pid_file = unit_path(unit, "nginx/nginx.pid");
    static reload_t reload;
    bool            ok;
    int             lock;

    memset(&reload, 0, sizeof(reload));
    reload.master = process_of(pid_file, "nginx");
    if (reload.master == 0) {
        return true;
    }
    /* Two reloads at once could not tell their workers apart. */
    lock = open(unit_path(unit, "nginx"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        output_problem("file", "cannot lock %s: %m", unit_path(unit, "nginx"));
        ok = false;
    } else {
        ok = ask(unit, &reload);
    }
    if (lock >= 0) {
        close(lock);
    }
    return ok;
}
