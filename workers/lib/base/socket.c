#include "lib/base/socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"

#define BACKLOG 511


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

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return complain(path, strerror(errno));
    }

    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) {
            close(fd);
            return complain(path, "is there and is no socket");
        }

        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0) {
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
