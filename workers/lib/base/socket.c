#include "lib/base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"

#define BACKLOG       511
#define SYSTEMD_FIRST 3 /* SD_LISTEN_FDS_START */


static int
complain(const char *path, const char *why)
{
    char quoted[256], reason[256];

    punit_log(PUNIT_LOG_ERROR, "socket", "path=%s why=%s",
              punit_log_quote(quoted, sizeof(quoted), path),
              punit_log_quote(reason, sizeof(reason), why));
    return -1;
}


int
punit_socket_listen(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat        st;

    if (*path == '\0' || strlen(path) >= sizeof(address.sun_path)) {
        return complain(path, "PUNIT_SOCKET must be a path of 1 to 107 bytes");
    }

    memcpy(address.sun_path, path, strlen(path) + 1);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return complain(path, strerror(errno));
    }

    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) {
            close(fd);
            return complain(path, "is there and is no socket");
        }

        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 || errno == EAGAIN) {
            close(fd);
            return complain(path, "another process listens on it");
        }

        if (unlink(path) != 0 && errno != ENOENT) {
            int error = errno;

            close(fd);
            return complain(path, strerror(error));
        }
    }

    mode_t before = umask(0117);
    int    bound = bind(fd, (struct sockaddr *) &address, sizeof(address));
    int    error = errno;

    umask(before);

    if (bound == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }

    error = bound == 0 ? errno : error;
    close(fd);
    return complain(path, strerror(error));
}


static bool
number(int fd, int option, int expected)
{
    int       value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == expected;
}


/* True if the descriptor is a unix socket of this type that waits for clients. */
static bool
waits(int fd, int type)
{
    struct sockaddr_un address = { .sun_family = AF_UNSPEC };
    socklen_t          size = sizeof(address);

    return getsockname(fd, (struct sockaddr *) &address, &size) == 0
           && address.sun_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path)
           && number(fd, SO_TYPE, type) && number(fd, SO_ACCEPTCONN, type == SOCK_STREAM);
}


static bool
from_systemd(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    return pid != NULL && count != NULL && strtol(pid, NULL, 10) == getpid()
           && strcmp(count, "1") == 0;
}


int
punit_socket_inherited(int type, bool *own)
{
    int given = STDIN_FILENO;

    if (!waits(given, type)) {
        given = SYSTEMD_FIRST;

        if (!from_systemd() || !waits(given, type)) {
            return -1;
        }
    }

    int fd = fcntl(given, F_DUPFD_CLOEXEC, SYSTEMD_FIRST + 1);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || null < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0
        || dup2(null, given) < 0)
    {
        return complain("inherited", strerror(errno));
    }

    close(null);
    unsetenv("LISTEN_FDS");
    *own = getenv(PUNIT_SOCKET_OWN) != NULL;
    return fd;
}
