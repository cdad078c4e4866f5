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


/* A datagram in the making, for the socket itself. */
typedef struct {
    int                fd;
    struct sockaddr_un to;
    socklen_t          to_len;
    size_t             len;
    long               users, lost;
    long               within; /* users of this datagram */
    char               text[DATAGRAM_MAX];
} letter_t;


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


static void
letter_send(letter_t *letter)
{
    if (letter->len > 0
        && sendto(letter->fd, letter->text, letter->len, MSG_DONTWAIT | MSG_NOSIGNAL,
                  (struct sockaddr *) &letter->to, letter->to_len)
               < 0)
    {
        letter->lost += letter->within;
    }

    letter->len = 0;
    letter->within = 0;
}


static void
letter_add(const report_t *report, void *context)
{
    letter_t *letter = context;
    char      line[USER_SIZE + UNIT_SIZE + 64];
    int       n = snprintf(line, sizeof(line), "f %s %s %lld %ld\n", report->user, report->unit,
                           report->epoch, report->count);

    if (letter->len + (size_t) n > sizeof(letter->text)) {
        letter_send(letter);
    }

    memcpy(letter->text + letter->len, line, (size_t) n);
    letter->len += (size_t) n;
    letter->within++;
    letter->users++;
}


void
datagram_hand_on(int fd)
{
    static letter_t letter;

    letter.fd = fd;
    letter.to_len = sizeof(letter.to);

    if (getsockname(fd, (struct sockaddr *) &letter.to, &letter.to_len) < 0) {
        return;
    }

    queue_evidence(letter_add, &letter);
    letter_send(&letter);

    if (letter.users > 0) {
        punit_log(letter.lost > 0 ? PUNIT_LOG_WARN : PUNIT_LOG_INFO, "handed-on",
                  "users=%ld lost=%ld", letter.users, letter.lost);
    }
}
