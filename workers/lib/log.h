/* Log: one line an event on stderr, logfmt. Never a token, a password or a body. */
#ifndef PUNIT_LOG_H
#define PUNIT_LOG_H

enum { PUNIT_LOG_ERROR, PUNIT_LOG_WARN, PUNIT_LOG_INFO, PUNIT_LOG_DEBUG };

/* One line `ts=... level=... service=... event=EVENT <fields>`, written by one write(2).
 * `fields` is a printf format of the form "name=%s other=%d"; text that may hold spaces, quotes or
 * bytes of a client goes through punit_log_quote. */
void punit_log(int level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* `text` as a logfmt value: quoted and escaped where needed, cut at size - 1. Gives `buffer`. */
const char *punit_log_quote(char *buffer, unsigned long size, const char *text);

#endif
