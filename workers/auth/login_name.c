#include "auth/login_name.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_MAX 64 /* RFC 5321 4.5.3.1.1 */
#define LABEL_MAX 63 /* RFC 1035 2.3.4 */


int
punit_pepper_load(punit_pepper *pepper, const char *file)
{
    char   text[256];
    size_t n, bin = 0;

    FILE *f = fopen(file, "re");
    if (f == NULL) {
        return -1;
    }
    n = fread(text, 1, sizeof text - 1, f);
    int failed = ferror(f);
    fclose(f);
    text[n] = '\0';

    if (failed) {
        errno = EIO;
        return -1;
    }
    int rc = sodium_hex2bin(pepper->key, sizeof pepper->key, text, n, " \t\r\n", &bin, NULL);
    sodium_memzero(text, sizeof text);
    if (rc != 0 || bin != sizeof pepper->key) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}


static bool
is_alnum(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}


/* RFC 5321 4.1.2 Dot-string: atoms of RFC 5322 atext, single dots between */
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


/* RFC 1123 2.1: at least two labels of letters, digits, inner hyphens */
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


void
punit_name_hash(const punit_pepper *pepper, const char *email, unsigned char hash[PUNIT_NAME_HASH])
{
    crypto_auth_hmacsha256(hash, (const unsigned char *) email, strlen(email), pepper->key);
}
