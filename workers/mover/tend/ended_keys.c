#include "mover/tend/ended_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/key_file.h"
#include "lib/base/log.h"
#include "mover/session.h"

#define PATH_SIZE 512

static void
read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");

    line[0] = '\0';
    if (file != NULL) {
        if (fgets(line, size, file) == NULL) {
            line[0] = '\0';
        }

        fclose(file);
    }

    line[strcspn(line, "\n")] = '\0';
}


/* The master that the pid file names; 0: there is none. A stale file may name another program.
 * systemd hides a process that may do more than this one (ProtectProc), and NGINX may bind ports
 * below 1024. So a process without a name is taken for NGINX. */
static pid_t
nginx_master(void)
{
    char path[PATH_SIZE], line[64];

    snprintf(path, sizeof(path), "%s/nginx/nginx.pid", punit_config.dir);
    read_line(path, line, sizeof(line));

    long pid = strtol(line, NULL, 10);

    if (pid <= 1) {
        return 0;
    }

    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    read_line(path, line, sizeof(line));
    return *line == '\0' || strcmp(line, "nginx") == 0 ? (pid_t) pid : 0;
}


/* Under systemd the mover may neither write in keys/ nor signal NGINX. punit-keys.path sees the
 * file, and `punitctl` does what the rows say. */
static void
ask_for_removal(void)
{
    char path[PATH_SIZE];
    int  fd;

    snprintf(path, sizeof(path), "%s/ask/keys", punit_config.dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd >= 0) {
        close(fd);
        punit_log(PUNIT_LOG_INFO, "keys-over", "asked=yes");
    } else if (errno != EEXIST) {
        punit_log(PUNIT_LOG_ERROR, "keys-not-asked", "errno=%d", errno);
    }
}


/* An NGINX that does not run reads its keys when it starts. */
static bool
tell_nginx(void)
{
    pid_t master = nginx_master();

    if (master == 0 || kill(master, SIGHUP) == 0 || errno == ESRCH) {
        return true;
    }

    if (errno == EPERM) {
        ask_for_removal();
    } else {
        punit_log(PUNIT_LOG_ERROR, "keys-not-reloaded", "pid=%d errno=%d", (int) master, errno);
    }

    return false;
}


typedef enum { FILE_REMOVED, FILE_ABSENT, FILE_KEPT } removal_t;


/* A kid with a slash could lead out of the directory. */
static removal_t
remove_file(const char *kid)
{
    char path[PATH_SIZE];

    if (strchr(kid, '/') != NULL
        || snprintf(path, sizeof(path), "%s/%s" PUNIT_KEY_FILE_PUBLIC, punit_config.keys, kid)
               >= (int) sizeof(path))
    {
        return FILE_KEPT;
    }

    if (unlink(path) == 0) {
        punit_log(PUNIT_LOG_INFO, "key-over", "kid=%s", kid);
        return FILE_REMOVED;
    }

    if (errno == EACCES || errno == EPERM) {
        ask_for_removal();
        return FILE_KEPT;
    }

    if (errno != ENOENT) {
        punit_log(PUNIT_LOG_ERROR, "key-not-removed", "kid=%s errno=%d", kid, errno);
        return FILE_KEPT;
    }

    return FILE_ABSENT;
}


static void
drop(link_t *local, const char *kid)
{
    PGresult *dropped = link_call(local, "select punit.drop_key($1)", 1, &kid);

    if (dropped == NULL) {
        session_failed(local, "keys-failed", "drop_key");
    }

    PQclear(dropped);
}


void
ended_keys_remove(link_t *local)
{
    if (*punit_config.keys == '\0' || *punit_config.dir == '\0') {
        return;
    }

    PGresult *keys = link_call(local, "select kid, held from punit.over_keys()", 0, NULL);

    if (keys == NULL) {
        session_failed(local, "keys-failed", "over_keys");
        return;
    }

    bool kept = false, told = true, news = false;

    for (int i = 0; i < PQntuples(keys); i++) {
        removal_t removal = remove_file(PQgetvalue(keys, i, 0));

        kept = kept || removal == FILE_KEPT;
        news = news || removal == FILE_REMOVED || PQgetvalue(keys, i, 1)[0] == 't';
    }

    if (news) {
        told = tell_nginx();
    }

    /* A row says that NGINX has the key, so it goes last. */
    for (int i = 0; i < PQntuples(keys) && !kept && told && link_ready(local); i++) {
        if (PQgetvalue(keys, i, 1)[0] == 't') {
            drop(local, PQgetvalue(keys, i, 0));
        }
    }

    PQclear(keys);
}
