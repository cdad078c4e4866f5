/* Random uuids (RFC 9562 version 4) as lower-case text. */

#ifndef PUNIT_AUTH_UUID_H
#define PUNIT_AUTH_UUID_H

#define PUNIT_UUID_SIZE 37 /* with its NUL */

void punit_uuid_new(char text[PUNIT_UUID_SIZE]);

#endif
