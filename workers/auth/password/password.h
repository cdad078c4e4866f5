/* Password: hashing and verifying the password in a request. */
#ifndef PUNIT_AUTH_PASSWORD_PASSWORD_H
#define PUNIT_AUTH_PASSWORD_PASSWORD_H

#include "auth/password/argon.h"
#include "lib/http/request.h"

#define PASSWORD_MIN 8 /* characters of a new one */

typedef enum {
    PASSWORD_WRONG = 0,
    PASSWORD_RIGHT,
    PASSWORD_RIGHT_AS_SENT /* the hash is of what was sent, not of its one form: hash it anew */
} password_match_t;

/* The stored hash of a user ($1) that this unit owns: columns epoch, password and
 * name_hash. */
extern const char password_credential[];

/* Whether a user may choose the body's member: 422 with its pointer for one that attackers try
 * first, or that is too short in its one form. */
punit_problem_t *password_check(punit_request_t *r, const char *member);

/* Hashes the body's member. 503 when too many requests wait for that. */
punit_problem_t *password_hash(punit_request_t *r, const char *member, char hash[ARGON_STR]);

/* Verifies the body's member. With hash NULL it is never right, after the same work. 503 as above.
 */
punit_problem_t *password_verify(punit_request_t *r, const char *member, const char *hash,
                                 password_match_t *match);

#endif
