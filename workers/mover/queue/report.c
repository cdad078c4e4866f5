#include "mover/queue/report.h"

#include <ctype.h>
#include <string.h>

typedef struct {
    const char *p;
    const char *end;
} field_t;


/* The next field of the line: one space precedes it, and it holds none. */
static bool
next_field(field_t *f, const char **start, size_t *len)
{
    if (f->p == f->end || *f->p != ' ') {
        return false;
    }

    *start = ++f->p;

    while (f->p < f->end && *f->p != ' ') {
        f->p++;
    }

    *len = (size_t) (f->p - *start);
    return *len > 0;
}


static bool
parse_user(field_t *f, char user[USER_SIZE])
{
    const char *s;
    size_t      len;

    if (!next_field(f, &s, &len) || len != USER_SIZE - 1) {
        return false;
    }

    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char) s[i])) {
            return false;
        }

        user[i] = (char) tolower((unsigned char) s[i]);
    }

    user[len] = '\0';
    return true;
}


static bool
parse_unit(field_t *f, char unit[UNIT_SIZE])
{
    const char *s;
    size_t      len;

    if (!next_field(f, &s, &len) || len >= UNIT_SIZE) {
        return false;
    }

    memcpy(unit, s, len);
    unit[len] = '\0';
    return strspn(unit, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}


static bool
parse_number(field_t *f, long long *n)
{
    const char *s;
    size_t      len;

    if (!next_field(f, &s, &len) || len > 18) {
        return false;
    }

    *n = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }

        *n = *n * 10 + (s[i] - '0');
    }

    return true;
}


bool
report_parse(const char *line, size_t len, report_t *report)
{
    field_t   f = { line + 1, line + len };
    long long count;

    if (len == 0 || (*line != 'f' && *line != 'l')) {
        return false;
    }

    report->kind = *line;
    report->unit[0] = '\0';
    report->epoch = 0;

    if (!parse_user(&f, report->user)) {
        return false;
    }

    if (*line == 'f' && (!parse_unit(&f, report->unit) || !parse_number(&f, &report->epoch))) {
        return false;
    }

    if (!parse_number(&f, &count) || f.p != f.end) {
        return false;
    }

    report->count = count > 1000000 ? 1000000 : (long) count;
    return true;
}
