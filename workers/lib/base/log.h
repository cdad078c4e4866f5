/* Log: one line for each event on stderr, as logfmt. It never holds a token, a password or a body.
 */
#ifndef PUNIT_LIB_BASE_LOG_H
#define PUNIT_LIB_BASE_LOG_H

#include <stdbool.h>

enum { PUNIT_LOG_ERROR, PUNIT_LOG_WARN, PUNIT_LOG_INFO, PUNIT_LOG_DEBUG };

/* Writes one line `ts=... level=... service=... event=EVENT <fields>` at once, after the kept ones.
 * `fields` is a printf format as "name=%s other=%d". A text that may hold spaces, quotes or bytes
 * of a client goes through punit_log_quote. */
void punit_log(int level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for the lines that every request writes. After punit_log_keep, info and debug are kept
 * for at most 0.1 s and written together. Warnings and errors are written at once. The order is
 * that of the calls. */
void punit_log_later(int level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Starts the thread that writes the kept lines. False when that fails: then no line is kept. */
bool punit_log_keep(void);

/* Writes the kept lines. Called before the process ends by itself. */
void punit_log_flush(void);

/* `text` as a logfmt value: quoted and escaped where needed, cut at size - 1. Gives `buffer`. */
const char *punit_log_quote(char *buffer, unsigned long size, const char *text);

#endif
