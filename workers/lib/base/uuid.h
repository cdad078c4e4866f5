/* UUID: RFC 9562, as text. */
#ifndef PUNIT_LIB_BASE_UUID_H
#define PUNIT_LIB_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>

#define PUNIT_UUID_LENGTH 36
#define PUNIT_UUID_SIZE   37 /* with its NUL */

/* Whether text is 8-4-4-4-12 hex digits, and nothing more. */
bool punit_uuid_is(const char *text, size_t len);

/* The same, and its letters are lower case. */
bool punit_uuid_is_lower(const char *text, size_t len);

/* A random uuid (version 4), lower case. */
void punit_uuid_new(char text[PUNIT_UUID_SIZE]);

#endif
