#include "auth/uuid.h"

#include <sodium.h>
#include <stdio.h>


void
punit_uuid_new(char text[PUNIT_UUID_SIZE])
{
    unsigned char b[16];

    randombytes_buf(b, sizeof b);
    b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);

    char *p = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        p += snprintf(p, 3, "%02x", b[i]);
    }
}
