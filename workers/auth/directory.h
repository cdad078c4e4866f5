/*
 * The directory of login names: whose name is it?  The local replica is asked
 * first, then the name's arbiter.
 */

#ifndef PUNIT_AUTH_DIRECTORY_H
#define PUNIT_AUTH_DIRECTORY_H

#include "lib/http/request.h"

typedef struct {
    const char *hash; /* bytea text */
    const char *user; /* NULL: nobody's, as far as the replica knows */
    const char *unit; /* where he registered */
    const char *arbiter;
} punit_entry_t;

/*
 * The entry of the request's member `email` (checked before), in the local
 * replica. 503 while no unit is arbiter of the name.
 */
punit_problem_t *punit_directory_find(punit_request_t *r, punit_entry_t *entry);

/* Is the arbiter another unit? */
bool punit_directory_is_remote(const punit_entry_t *entry);

/*
 * Takes the name for entry->user and this unit, at its arbiter; gives whose it
 * is now and where he registered in entry->user and entry->unit.  Repeating it
 * changes nothing.  503 unit-unreachable: the arbiter does not answer.
 */
punit_problem_t *punit_directory_claim(punit_request_t *r, punit_entry_t *entry);

/* Whether user and name belong together is settled: the user is or was there. */
punit_problem_t *punit_directory_is_settled(punit_request_t *r, const punit_entry_t *entry,
                                            bool *settled);

#endif
