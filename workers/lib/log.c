#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/config.h"

#define LINE_MAX_BYTES  4096

static const char *const levels[] = { "error", "warn", "info", "debug" };


void
punit_log(int level, const char *event, const char *fields, ...)
{
    if (level > punit_config.log_level) {
        return;
    }

    char             line[LINE_MAX_BYTES];
    struct timespec  now;
    struct tm        utc;
    char             stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);

    int n = snprintf(line, sizeof(line), "ts=%s.%03ldZ level=%s service=%s event=%s ", stamp,
                     now.tv_nsec / 1000000, levels[level],
                     punit_config.service ? punit_config.service : "-", event);

    if (n < 0 || n >= (int) sizeof(line)) {
        return;
    }

    va_list args;

    va_start(args, fields);
    int m = vsnprintf(line + n, sizeof(line) - (size_t) n, fields, args);
    va_end(args);

    if (m < 0) {
        return;
    }

    size_t len = (size_t) n + (size_t) m;

    if (len > sizeof(line) - 2) {
        len = sizeof(line) - 2;
    }

    line[len++] = '\n';

    /* A log that cannot be written is nobody's error to report. */
    if (write(STDERR_FILENO, line, len) < 0) {
        return;
    }
}


const char *
punit_log_quote(char *buffer, unsigned long size, const char *text)
{
    static const char hex[] = "0123456789abcdef";

    if (text == NULL || *text == '\0') {
        return "-";
    }

    size_t n = 0;

    buffer[n++] = '"';

    for (const unsigned char *p = (const unsigned char *) text; *p != '\0'; p++) {
        if (n + 6 > size) {
            break;
        }

        if (*p == '"' || *p == '\\') {
            buffer[n++] = '\\';
            buffer[n++] = (char) *p;

        } else if (*p < 0x20 || *p == 0x7f) {
            buffer[n++] = '\\';
            buffer[n++] = 'x';
            buffer[n++] = hex[*p >> 4];
            buffer[n++] = hex[*p & 15];

        } else {
            buffer[n++] = (char) *p;
        }
    }

    buffer[n++] = '"';
    buffer[n] = '\0';
    return buffer;
}
