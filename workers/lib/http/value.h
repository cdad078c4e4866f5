/* Value: types of values that clients send, in paths, query arguments, cursors, bodies. Pure. */
#ifndef PUNIT_LIB_HTTP_VALUE_H
#define PUNIT_LIB_HTTP_VALUE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    PUNIT_NONE, /* ends tables */
    PUNIT_STRING,
    PUNIT_INTEGER,
    PUNIT_NUMBER,
    PUNIT_BOOLEAN,
    PUNIT_UUID,      /* 8-4-4-4-12 hex */
    PUNIT_TIMESTAMP, /* RFC 3339 with an offset, years 0001-9999 */
    PUNIT_DATE,      /* RFC 3339 full-date */
    PUNIT_ARRAY,     /* bodies only */
    PUNIT_OBJECT,    /* bodies only */
} punit_value_type_t;

/* Whether `text` is exactly a value of that (scalar) type. */
bool punit_value_is(punit_value_type_t type, const char *text, size_t len);

/* What it must be, for error details: "a uuid", "an RFC 3339 time". */
const char *punit_value_expected(punit_value_type_t type);

/* A further check of a text. NULL when it is good, otherwise what is wrong ("is blank"). */
typedef const char *(*punit_value_check_pt)(const char *text, size_t len);

/* An e-mail address: see lib/base/email.h. */
const char *punit_value_check_email(const char *text, size_t len);

/* The shape of a language tag (BCP 47): de, de-AT, zh-Hant-TW. */
const char *punit_value_check_locale(const char *text, size_t len);

/* An IANA time zone that this machine knows. */
const char *punit_value_check_time_zone(const char *text, size_t len);

/* No control characters, and not only blanks. */
const char *punit_value_check_printable(const char *text, size_t len);

#endif
