/* Passwords in requests: hashing and verifying them in the pool, as problems. */

#ifndef PUNIT_AUTH_PASSWORD_H
#define PUNIT_AUTH_PASSWORD_H

#include "auth/argon.h"
#include "lib/http/request.h"

/* The stored hash of a user ($1) that this unit owns: columns epoch and password. */
extern const char punit_credential_statement[];

/* Hashes the body's member; 503 when too many wait. */
punit_problem_t *punit_password_hash(punit_request_t *r, const char *member,
                                     char hash[PUNIT_ARGON_STR]);

/* Verifies the body's member; hash NULL: nobody's, never right, after the same work. 503 as above.
 */
punit_problem_t *punit_password_verify(punit_request_t *r, const char *member, const char *hash,
                                       bool *right);

#endif
