#include "lib/http/value.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/email.h"
#include "lib/base/uuid.h"

#define NUMBER_MAX 64 /* characters: no number that fits a double usefully is longer */


static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}


static bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}


/* n digits at text as a number, -1 if they are not digits. */
static int
digits(const char *text, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++) {
        if (!is_digit(text[i])) {
            return -1;
        }

        value = value * 10 + (text[i] - '0');
    }

    return value;
}


/* Unicode 15, table 3-7: well-formed UTF-8, and no U+0000. */
static bool
is_utf8(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *) text, *end = p + len;

    while (p < end) {
        unsigned c = *p++;
        int      more;
        unsigned low = 0x80, high = 0xbf;

        if (c == 0) {
            return false;
        }

        if (c < 0x80) {
            continue;
        }

        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;

        } else if (c >= 0xe0 && c <= 0xef) {
            more = 2;
            low = c == 0xe0 ? 0xa0 : 0x80;
            high = c == 0xed ? 0x9f : 0xbf;

        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            low = c == 0xf0 ? 0x90 : 0x80;
            high = c == 0xf4 ? 0x8f : 0xbf;

        } else {
            return false;
        }

        while (more-- > 0) {
            if (p == end || *p < low || *p > high) {
                return false;
            }

            p++;
            low = 0x80;
            high = 0xbf;
        }
    }

    return true;
}


static bool
is_integer(const char *text, size_t len)
{
    char   copy[24];
    size_t i = len > 0 && text[0] == '-';

    if (len == i || len >= sizeof(copy) || (text[i] == '0' && len > i + 1)) {
        return false;
    }

    for (size_t k = i; k < len; k++) {
        if (!is_digit(text[k])) {
            return false;
        }
    }

    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    strtoll(copy, NULL, 10);
    return errno == 0;
}


/* JSON's number (RFC 8259 section 6) within a double's range. */
static bool
is_number(const char *text, size_t len)
{
    char   copy[NUMBER_MAX + 1];
    size_t i = 0, start;

    if (len == 0 || len > NUMBER_MAX) {
        return false;
    }

    memcpy(copy, text, len);
    copy[len] = '\0';

    if (copy[i] == '-') {
        i++;
    }

    start = i;
    while (is_digit(copy[i])) {
        i++;
    }

    if (i == start || (copy[start] == '0' && i > start + 1)) {
        return false;
    }

    if (copy[i] == '.') {
        start = ++i;
        while (is_digit(copy[i])) {
            i++;
        }

        if (i == start) {
            return false;
        }
    }

    if (copy[i] == 'e' || copy[i] == 'E') {
        i++;
        if (copy[i] == '+' || copy[i] == '-') {
            i++;
        }

        start = i;
        while (is_digit(copy[i])) {
            i++;
        }

        if (i == start) {
            return false;
        }
    }

    return i == len && isfinite(strtod(copy, NULL));
}


static bool
is_boolean(const char *text, size_t len)
{
    return (len == 4 && memcmp(text, "true", 4) == 0)
           || (len == 5 && memcmp(text, "false", 5) == 0);
}


static bool
is_date(const char *text, size_t len)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (len != 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }

    int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);

    /* There is no year 0 in PostgreSQL's calendar. */
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }

    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return day <= days[month - 1] + (month == 2 && leap);
}


/* RFC 3339 section 5.6 date-time. Leap seconds are refused: PostgreSQL would make the next minute
 * of it. */
static bool
is_timestamp(const char *text, size_t len)
{
    if (len < 20 || !is_date(text, 10) || (text[10] != 'T' && text[10] != 't') || text[13] != ':'
        || text[16] != ':')
    {
        return false;
    }

    int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);

    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
        return false;
    }

    size_t i = 19;

    if (text[i] == '.') {
        size_t start = ++i;

        while (i < len && is_digit(text[i])) {
            i++;
        }

        if (i == start || i - start > 9) {
            return false;
        }
    }

    if (i + 1 == len) {
        return text[i] == 'Z' || text[i] == 'z';
    }

    if (i + 6 != len || (text[i] != '+' && text[i] != '-') || text[i + 3] != ':') {
        return false;
    }

    int oh = digits(text + i + 1, 2), om = digits(text + i + 4, 2);

    /* PostgreSQL takes offsets below 16 hours. The widest in use is +14:00. */
    return oh >= 0 && oh <= 15 && om >= 0 && om <= 59;
}


typedef struct {
    bool (*is)(const char *text, size_t len);
    const char *expected;
} scalar_t;

static const scalar_t scalars[] = {
    [PUNIT_NONE] = { NULL, "nothing" },
    [PUNIT_STRING] = { is_utf8, "a string" },
    [PUNIT_INTEGER] = { is_integer, "a whole number" },
    [PUNIT_NUMBER] = { is_number, "a number" },
    [PUNIT_BOOLEAN] = { is_boolean, "true or false" },
    [PUNIT_UUID] = { punit_uuid_is, "a uuid" },
    [PUNIT_TIMESTAMP] = { is_timestamp, "an RFC 3339 time with an offset" },
    [PUNIT_DATE] = { is_date, "an RFC 3339 date" },
    [PUNIT_ARRAY] = { NULL, "an array" },
    [PUNIT_OBJECT] = { NULL, "an object" },
};


bool
punit_value_is(punit_value_type_t type, const char *text, size_t len)
{
    return scalars[type].is != NULL && scalars[type].is(text, len);
}


const char *
punit_value_expected(punit_value_type_t type)
{
    return scalars[type].expected;
}


const char *
punit_value_check_email(const char *text, size_t len)
{
    char email[PUNIT_EMAIL_MAX + 1];

    return punit_email_normalise(text, len, email);
}


const char *
punit_value_check_locale(const char *text, size_t len)
{
    static const char wrong[] = "is no language tag (BCP 47)";
    size_t            start = 0;

    if (len > 35) {
        return wrong;
    }

    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '-') {
            if (!is_alpha(text[i]) && (start == 0 || !is_digit(text[i]))) {
                return wrong;
            }

            continue;
        }

        size_t part = i - start;

        if (part < (start == 0 ? 2u : 1u) || part > 8) {
            return wrong;
        }

        start = i + 1;
    }

    return NULL;
}


const char *
punit_value_check_time_zone(const char *text, size_t len)
{
    static const char wrong[] = "is no known time zone (IANA)";
    char              path[128];
    struct stat       st;

    /* A zone begins with a capital and has no dot. Other files there, and paths out of the folder,
     * do. */
    if (len == 0 || len > 64 || text[0] < 'A' || text[0] > 'Z') {
        return wrong;
    }

    for (size_t i = 0; i < len; i++) {
        if (!is_alpha(text[i]) && !is_digit(text[i]) && memchr("/_+-", text[i], 4) == NULL) {
            return wrong;
        }
    }

    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", (int) len, text);

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? NULL : wrong;
}


const char *
punit_value_check_printable(const char *text, size_t len)
{
    bool blank = true;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) text[i];

        if (c < 0x20 || c == 0x7f) {
            return "holds control characters";
        }

        blank = blank && c == ' ';
    }

    return blank ? "is blank" : NULL;
}
