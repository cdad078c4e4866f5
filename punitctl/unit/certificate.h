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

/* Checks that the certificate is signed by the authority in `ca_file`, belongs
 * to the key and names the unit as CN and DNS name. False with the reason printed. */
bool certificate_check(const char *ca_file, const char *certificate, const char *key,
                       const char *id);

#endif
