/*
 * An authority in memory. It signs certificates and letters, also after this process may no longer
 * read the files of the authority.
 *
 * A letter is a text with the authority's signature (CMS, RFC 5652, in PEM). `openssl cms -verify`
 * reads it too.
 */
#ifndef PUNITCTL_UNIT_AUTHORITY_H
#define PUNITCTL_UNIT_AUTHORITY_H

#include <openssl/x509.h>
#include <stdbool.h>

typedef struct {
    X509       *x509;
    EVP_PKEY   *key;
    const char *certificate; /* PEM */
} authority_t;

/* Reads ca.pem and ca.key of a directory. False with the reason printed. */
bool authority_open(authority_t *authority, const char *directory);
void authority_close(authority_t *authority);

/* A fresh key and its certificate for a unit, as PEM. False with the reason printed. */
bool authority_issue(const authority_t *authority, const char *id, const char **certificate,
                     const char **key);

/* The text as a letter of the authority. NULL with the reason printed. */
const char *authority_seal(const authority_t *authority, const char *text);

/* The text of a letter that one of these certificates (PEM) has signed. NULL: none has. What
 * precedes the letter in `pem` is skipped. */
const char *authority_text(const char *certificates, const char *pem);

#endif
