/* Log: one line an event on stderr, logfmt. Never a token, a password or a body. */
#ifndef PUNIT_LIB_BASE_LOG_H
#define PUNIT_LIB_BASE_LOG_H

#include <stdbool.h>

enum { PUNIT_LOG_ERROR, PUNIT_LOG_WARN, PUNIT_LOG_INFO, PUNIT_LOG_DEBUG };

/* One line `ts=... level=... service=... event=EVENT <fields>`, written at once, behind those that
 * are kept. `fields` is a printf format of the form "name=%s other=%d"; text that may hold spaces,
 * quotes or bytes of a client goes through punit_log_quote. */
void punit_log(int level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of what comes with every request: info and debug are kept for a tenth of a second at
 * most, to be written together, once punit_log_keep has said so; warnings and errors are written at
 * once. The order is that of the calls. */
void punit_log_later(int level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Starts the thread that writes what is kept; false: there is none, and nothing is kept. */
bool punit_log_keep(void);

/* Writes what is kept: before the process ends by itself. */
void punit_log_flush(void);

/* `text` as a logfmt value: quoted and escaped where needed, cut at size - 1. Gives `buffer`. */
const char *punit_log_quote(char *buffer, unsigned long size, const char *text);

#endif
