#include "lib/base/email.h"

#include <stdbool.h>
#include <string.h>

#define LOCAL_MAX 64 /* RFC 5321 4.5.3.1.1 */
#define LABEL_MAX 63 /* RFC 1035 2.3.4 */


static bool
is_alnum(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}


/* RFC 5321 4.1.2 Dot-string: atoms of RFC 5322 atext, with single dots between them. */
static bool
is_dot_string(const char *p, size_t len)
{
    bool dot = true; /* may not begin with one */

    for (size_t i = 0; i < len; i++) {
        if (p[i] == '.') {
            if (dot) {
                return false;
            }

            dot = true;

        } else if (is_alnum((unsigned char) p[i])
                   || (p[i] != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", p[i]) != NULL))
        {
            dot = false;

        } else {
            return false;
        }
    }

    return !dot;
}


/* RFC 1123 2.1: at least two labels of letters, digits and inner hyphens. */
static bool
is_domain(const char *p, size_t len)
{
    size_t start = 0, labels = 0;

    for (size_t i = 0; i <= len; i++) {
        if (i < len && p[i] != '.') {
            if (!is_alnum((unsigned char) p[i]) && p[i] != '-') {
                return false;
            }

            continue;
        }

        if (i == start || i - start > LABEL_MAX || p[start] == '-' || p[i - 1] == '-') {
            return false;
        }

        labels++;
        start = i + 1;
    }

    return labels >= 2;
}


const char *
punit_email_normalise(const char *email, size_t len, char out[PUNIT_EMAIL_MAX + 1])
{
    if (len > PUNIT_EMAIL_MAX) {
        return "longer than 254 characters";
    }

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char) email[i] >= 0x80) {
            return "not ASCII; write the domain in its xn-- form";
        }
    }

    const char *at = len == 0 ? NULL : memrchr(email, '@', len);

    if (at == NULL) {
        return "not an e-mail address";
    }

    size_t local = (size_t) (at - email);

    if (local == 0 || local > LOCAL_MAX || !is_dot_string(email, local)
        || !is_domain(at + 1, len - local - 1))
    {
        return "not an e-mail address";
    }

    for (size_t i = 0; i < len; i++) {
        char c = email[i];

        out[i] = c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
    }

    out[len] = '\0';
    return NULL;
}
