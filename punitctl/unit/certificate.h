/*
 * X.509 certificates between units: a small authority, for the demo and for operators without one,
 * and the certificates it signs. Keys are EC on P-256.
 */
#ifndef PUNITCTL_UNIT_CERTIFICATE_H
#define PUNITCTL_UNIT_CERTIFICATE_H

#include <openssl/x509.h>

#include "punitctl/unit/file.h"

/* A certificate for `key` with the name CN=name. issuer NULL: it signs itself. */
X509 *certificate_make(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key);

/* The authority in `directory`: ca.pem and ca.key, made if absent. Several processes may call at
 * the same time, and one makes it. */
file_result_t certificate_authority(const char *directory);

/* A certificate for a unit, signed by the authority in `ca`: CN = id,
 * subjectAltName DNS = id (RFC 6125: what NGINX and libpq verify), for servers
 * and clients alike, 10 years. Left alone when both files exist. */
file_result_t certificate_unit(const char *ca, const char *id, const char *certificate,
                               const char *key);

/* What is wrong with a certificate and its key, as certificate_check looks at them. NULL: nothing.
 * `ca_file` or `id` NULL: that is not looked at. */
const char *certificate_fault(const char *ca_file, const char *certificate, const char *key,
                              const char *id);

/* Checks that the certificate is signed by the authority in `ca_file`, belongs
 * to the key and names the unit as CN and DNS name. False with the reason printed. */
bool certificate_check(const char *ca_file, const char *certificate, const char *key,
                       const char *id);

/* A file and its content. */
typedef struct {
    const char *path, *pem;
} certificate_file_t;

/* The same for what is not in its place yet. */
bool certificate_check_given(const certificate_file_t *ca, const certificate_file_t *certificate,
                             const certificate_file_t *key, const char *id);

/* Checks that a certificate for clients belongs to its key and is valid today. */
bool certificate_check_public(const certificate_file_t *certificate, const certificate_file_t *key);

#endif
