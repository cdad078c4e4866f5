/* Common passwords: those that attackers try first, which nobody may choose (NIST SP 800-63B). */
#ifndef PUNIT_AUTH_PASSWORD_COMMON_PASSWORDS_H
#define PUNIT_AUTH_PASSWORD_COMMON_PASSWORDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct common_passwords common_passwords_t;

/* Reads a file of UTF-8, one password a line. `file` NULL: conf/common-passwords of the
 * installation, or of the source tree. NULL with a phrase in `error`: the file cannot be read, has
 * none, or there is no memory. */
common_passwords_t *common_passwords_load(const char *file, char *error, size_t size);

/* Whether the list has the password. Case and composition of letters do not count. */
bool common_passwords_has(const common_passwords_t *list, const char *password);

void common_passwords_free(common_passwords_t *list);

#endif
