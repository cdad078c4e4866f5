#include "lib/http/binary_array.h"

#include <endian.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES  20
#define ITEM_MAX    (4 + 16)
#define LEAST       1e-307
#define DAY_OF_2000 730425 /* days from 0000-03-01 to 2000-01-01 */

/* pg_type.dat */
static const struct {
    uint32_t oid;
    uint32_t size;
} kinds[] = {
    [PUNIT_UUID] = { 2950, 16 },
    [PUNIT_TIMESTAMP] = { 1184, 8 },
    [PUNIT_NUMBER] = { 701, 8 },
};


static char *
put_32(char *p, uint32_t n)
{
    n = htobe32(n);
    memcpy(p, &n, sizeof(n));
    return p + sizeof(n);
}


static char *
put_64(char *p, uint64_t n)
{
    n = htobe64(n);
    memcpy(p, &n, sizeof(n));
    return p + sizeof(n);
}


static char *
put_uuid(char *p, const char *text)
{
    for (int i = 0; i < 36;) {
        if (text[i] == '-') {
            i++;
            continue;
        }

        int high = (text[i] | 0x20) - (text[i] > '9' ? 'a' - 10 : '0');
        int low = (text[i + 1] | 0x20) - (text[i + 1] > '9' ? 'a' - 10 : '0');

        *p++ = (char) (high << 4 | low);
        i += 2;
    }

    return p;
}


static int64_t
digits(const char *text, int n)
{
    int64_t value = 0;

    for (int i = 0; i < n; i++) {
        value = value * 10 + (text[i] - '0');
    }

    return value;
}


/* Days since 2000-01-01. Years begin in March, so that the leap day is the last one. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    month = (month + 9) % 12;

    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1
           - DAY_OF_2000;
}


/* Microseconds since 2000-01-01T00:00:00Z, of a checked time (RFC 3339). */
static int64_t
microseconds(const char *text)
{
    int64_t seconds = days_of(digits(text, 4), digits(text + 5, 2), digits(text + 8, 2)) * 86400
                      + digits(text + 11, 2) * 3600 + digits(text + 14, 2) * 60
                      + digits(text + 17, 2);
    int64_t fraction = 0;

    text += 19;

    if (*text == '.') {
        int64_t unit = 1000000;

        for (text++; *text >= '0' && *text <= '9'; text++) {
            if (unit > 1) {
                unit /= 10;
                fraction += (*text - '0') * unit;

            } else if (unit == 1) {
                fraction += *text >= '5';
                unit = 0;
            }
        }
    }

    if (*text == '+' || *text == '-') {
        int64_t offset = digits(text + 1, 2) * 3600 + digits(text + 4, 2) * 60;

        seconds -= *text == '+' ? offset : -offset;
    }

    return seconds * 1000000 + fraction;
}


static char *
put_number(char *p, double value)
{
    uint64_t bits;

    value = fabs(value) < LEAST ? 0 : value;
    memcpy(&bits, &value, sizeof(bits));
    return put_64(p, bits);
}


const char *
punit_binary_array(punit_arena_t *arena, const json_t *json, const char *name,
                   punit_value_type_t type, int *length)
{
    size_t n = json_array_size(json), given = 0;
    char  *array = punit_arena_alloc(arena, HEAD_BYTES + n * ITEM_MAX);
    char  *p = array + HEAD_BYTES;

    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(json_array_get(json, i), name);

        if (value == NULL || json_is_null(value)) {
            p = put_32(p, UINT32_MAX);
            continue;
        }

        given++;
        p = put_32(p, kinds[type].size);

        if (type == PUNIT_UUID) {
            p = put_uuid(p, json_string_value(value));

        } else if (type == PUNIT_TIMESTAMP) {
            p = put_64(p, (uint64_t) microseconds(json_string_value(value)));

        } else {
            p = put_number(p, json_number_value(value));
        }
    }

    if (given == 0) {
        return NULL;
    }

    /* Dimensions, whether there are nulls, type. Of the dimension: items, first index. */
    *length = (int) (p - array);
    p = put_32(array, 1);
    p = put_32(p, given < n);
    p = put_32(p, kinds[type].oid);
    p = put_32(p, (uint32_t) n);
    put_32(p, 1);

    return array;
}
