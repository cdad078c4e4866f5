#include "lib/base/uuid.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>


bool
punit_uuid_is(const char *text, size_t len)
{
    if (len != PUNIT_UUID_LENGTH) {
        return false;
    }

    for (size_t i = 0; i < PUNIT_UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !isxdigit((unsigned char) text[i])) {
            return false;
        }
    }

    return true;
}


bool
punit_uuid_is_lower(const char *text, size_t len)
{
    if (!punit_uuid_is(text, len)) {
        return false;
    }

    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 'A' && text[i] <= 'F') {
            return false;
        }
    }

    return true;
}


void
punit_uuid_new(char text[PUNIT_UUID_SIZE])
{
    unsigned char b[16];
    char         *p = text;

    randombytes_buf(b, sizeof(b));
    b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }

        p += snprintf(p, 3, "%02x", b[i]);
    }
}
