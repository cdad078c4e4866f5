#include "lib/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"

#define LINE_MAX_BYTES 4096
#define KEPT_MAX_BYTES (64 * 1024)
#define KEEP_MS        100

static const char *const levels[] = { "error", "warn", "info", "debug" };

/* sd-daemon(3): systemd takes the priority of a line from its first bytes. */
static const char *const journal_prefixes[] = { "<3>", "<4>", "<6>", "<7>" };

/* The lines that are kept, to be written together. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t  first; /* a line is kept: its time begins */
    bool            keeps;
    size_t          length;
    char            lines[KEPT_MAX_BYTES];
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER, .first = PTHREAD_COND_INITIALIZER };

static struct {
    pthread_once_t once;
    bool           is_stderr;
} journal = { .once = PTHREAD_ONCE_INIT };


/* "2026-01-31T12:00:00". Each thread formats it once a second. */
static const char *
stamp_of(time_t second)
{
    static _Thread_local time_t of = -1;
    static _Thread_local char   stamp[32];
    struct tm                   utc;

    if (second != of) {
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &utc));
        of = second;
    }

    return stamp;
}


/* systemd names the journal's stream, and a redirection may have replaced it since. */
static bool
stderr_is_journal(void)
{
    const char        *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat        st;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2
           && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}


static void
find_journal(void)
{
    journal.is_stderr = stderr_is_journal();
}


static const char *
priority_of(int level)
{
    pthread_once(&journal.once, find_journal);
    return journal.is_stderr ? journal_prefixes[level] : "";
}


/* Makes the line with its line feed, cut at the size of the buffer. 0 on failure. */
static size_t
make_line(char *line, int level, const char *event, const char *fields, va_list args)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);

    int n = snprintf(line, LINE_MAX_BYTES, "%sts=%s.%03ldZ level=%s service=%s event=%s ",
                     priority_of(level), stamp_of(now.tv_sec), now.tv_nsec / 1000000, levels[level],
                     punit_config.service ? punit_config.service : "-", event);

    if (n < 0 || n >= LINE_MAX_BYTES) {
        return 0;
    }

    int m = vsnprintf(line + n, LINE_MAX_BYTES - (size_t) n, fields, args);

    if (m < 0) {
        return 0;
    }

    size_t len = (size_t) n + (size_t) m;

    if (len > LINE_MAX_BYTES - 2) {
        len = LINE_MAX_BYTES - 2;
    }

    line[len++] = '\n';
    return len;
}


/* If the log cannot be written, there is no place to report that. */
static void
write_kept(void)
{
    size_t done = 0;

    while (done < kept.length) {
        ssize_t n = write(STDERR_FILENO, kept.lines + done, kept.length - done);

        if (n < 0 && errno != EINTR) {
            break;
        }

        done += n > 0 ? (size_t) n : 0;
    }

    kept.length = 0;
}


/* Appends a line to the kept ones. Writes all of them unless this one may wait too. */
static void
add(const char *line, size_t len, bool now)
{
    pthread_mutex_lock(&kept.lock);

    if (kept.length + len > sizeof(kept.lines)) {
        write_kept();
    }

    bool first = kept.length == 0;

    memcpy(kept.lines + kept.length, line, len);
    kept.length += len;

    if (now || !kept.keeps) {
        write_kept();

    } else if (first) {
        pthread_cond_signal(&kept.first);
    }

    pthread_mutex_unlock(&kept.lock);
}


void
punit_log(int level, const char *event, const char *fields, ...)
{
    char    line[LINE_MAX_BYTES];
    va_list args;

    if (level > punit_config.log_level) {
        return;
    }

    va_start(args, fields);
    add(line, make_line(line, level, event, fields, args), true);
    va_end(args);
}


void
punit_log_later(int level, const char *event, const char *fields, ...)
{
    char    line[LINE_MAX_BYTES];
    va_list args;

    if (level > punit_config.log_level) {
        return;
    }

    va_start(args, fields);
    add(line, make_line(line, level, event, fields, args), level < PUNIT_LOG_INFO);
    va_end(args);
}


void
punit_log_flush(void)
{
    pthread_mutex_lock(&kept.lock);
    write_kept();
    pthread_mutex_unlock(&kept.lock);
}


static void *
write_in_time(void *data)
{
    (void) data;

    for (;;) {
        pthread_mutex_lock(&kept.lock);

        while (kept.length == 0) {
            pthread_cond_wait(&kept.first, &kept.lock);
        }

        pthread_mutex_unlock(&kept.lock);
        punit_clock_pause(KEEP_MS);
        punit_log_flush();
    }

    return NULL;
}


bool
punit_log_keep(void)
{
    pthread_t      thread;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    pthread_mutex_lock(&kept.lock);
    kept.keeps = pthread_create(&thread, &attr, write_in_time, NULL) == 0;
    pthread_mutex_unlock(&kept.lock);

    pthread_attr_destroy(&attr);
    return kept.keeps;
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
