#include "mover/queue/datagram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "mover/queue/local_seen.h"
#include "mover/queue/queue.h"

#define DATAGRAM_MAX 8192

/* However many lines are no reports, the log gets one line a minute. */
#define COMPLAIN_MS 60000


int
datagram_open(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int                fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        punit_log(PUNIT_LOG_ERROR, "configuration",
                  "variable=PUNIT_SOCKET value=%s expected=\"at most %zu bytes\"", path,
                  sizeof(address.sun_path) - 1);
        return -1;
    }

    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || (unlink(path) < 0 && errno != ENOENT)
        || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(path, 0660) < 0)
    {
        punit_log(PUNIT_LOG_ERROR, "socket", "path=%s error=\"%s\"", path, strerror(errno));

        if (fd >= 0) {
            close(fd);
        }

        return -1;
    }

    return fd;
}


static bool
take_line(const char *line, size_t len)
{
    report_t report;

    if (!report_parse(line, len, &report)) {
        return false;
    }

    if (report.kind == 'l') {
        local_seen_add(report.user);
    } else if (strcmp(report.unit, punit_config.unit) != 0 && report.count > 0) {
        queue_report(&report);
    }

    return true;
}


void
datagram_read(int fd)
{
    static long ignored, complained_at;
    char        text[DATAGRAM_MAX];
    ssize_t     n;

    while ((n = recv(fd, text, sizeof(text), 0)) >= 0) {
        const char *p = text, *end = text + n;

        while (p < end) {
            const char *eol = memchr(p, '\n', (size_t) (end - p));
            size_t      len = (size_t) ((eol ? eol : end) - p);

            if (len > 0 && !take_line(p, len)) {
                ignored++;
            }

            p += len + 1;
        }
    }

    if (ignored > 0 && (complained_at == 0 || punit_clock_ms() - complained_at > COMPLAIN_MS)) {
        punit_log(PUNIT_LOG_WARN, "datagram", "ignored_lines=%ld", ignored);
        complained_at = punit_clock_ms();
        ignored = 0;
    }
}
