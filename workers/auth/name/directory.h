/* Directory: which user has a login name. The local replica is asked first, then the name's
 * arbiter. */
#ifndef PUNIT_AUTH_NAME_DIRECTORY_H
#define PUNIT_AUTH_NAME_DIRECTORY_H

#include "lib/http/request.h"

typedef struct {
    const char *hash; /* bytea text */
    const char *user; /* NULL: the replica knows none */
    const char *unit; /* where the user registered */
    const char *arbiter;
} directory_entry_t;

typedef enum {
    DIRECTORY_CLAIMED, /* the registration was not finished, as far as this unit knows */
    DIRECTORY_SETTLED, /* the user exists */
    DIRECTORY_ERASED   /* the arbiter is about to free the name */
} directory_state_t;

/* The entry of the request's member `email`, which was checked before, in the local replica. 503
 * while no unit is the arbiter of the name. */
punit_problem_t *directory_find(punit_request_t *r, directory_entry_t *entry);

/* Whether the arbiter is another unit. */
bool directory_is_remote(const directory_entry_t *entry);

/* Claims the name for entry->user and this unit, at its arbiter. entry->user and entry->unit become
 * the user who has it now and the unit of registration. A second call changes nothing. 503
 * unit-unreachable: the arbiter does not answer. */
punit_problem_t *directory_claim(punit_request_t *r, directory_entry_t *entry);

/* What this unit knows of entry->user. */
punit_problem_t *directory_state(punit_request_t *r, const directory_entry_t *entry,
                                 directory_state_t *state);

#endif
