#include "mover/move/bring.h"

#include <stdlib.h>
#include <string.h>

#include "mover/move/fence.h"
#include "mover/move/pull.h"

/* Rounds of PULL and FENCE in one errand: S and T may disagree for ever. */
#define STEPS_MAX 12


/* Called between the rows of a PULL, which no user waits for. */
static void
rest(void *of)
{
    queue_rest(of);
}


/* Rests only here: the user waits once FENCE was sent. */
static pull_next_t
pull_at_leisure(errand_t *e, bool want)
{
    e->peer->pause = e->job->paced ? rest : NULL;
    e->peer->pause_of = e->job;

    pull_next_t next = pull_rounds(e, want);

    e->peer->pause = NULL;
    return next;
}


/* Whether FENCE is the first message, without a PULL. */
static bool
fence_suffices(const errand_t *e, bool must)
{
    const task_t *t = &e->task;

    /* With a copy FENCE may suffice: one round trip, and no digest of all rows. Without a copy it
     * may suffice too if the user has few rows. That is only tried for a user whom an operator
     * asked for, because other users have a copy by now, unless they came just now. A FENCE that
     * was sent is repeated in any case: its answer ends the phase, even if the user went elsewhere
     * since. */
    bool first = t->asked && e->job->tries == 0;

    return (must || t->ver >= 0 || first) && t->move_epoch > 0;
}


/* The witness owns the user itself: no other unit may hand the user over. */
static void
deny(errand_t *e, const char *epoch)
{
    const char *values[] = { e->task.user, e->task.unit, e->task.witness, epoch };
    PGresult   *row = link_call(e->local, "select punit.deny_owner($1, $2, $3, $4)", 4, values);

    if (row == NULL) {
        errand_local_failed(e);
        return;
    }

    PQclear(row);
    errand_redirect(e, e->task.witness, atoll(epoch));
}


/* A unit that says that it owns the user may be one that was taken over. The owner before it has a
 * row that tells. False after the outcome is set. A witness that is away says nothing: the users of
 * a unit that fails must be able to go on from the next one. */
static bool
is_owner(errand_t *e)
{
    const char *values[] = { e->task.user };

    if (*e->task.witness == '\0') {
        return true;
    }

    link_t   *link = peer_link(e->peers, e->task.witness, e->local);
    PGresult *row =
        link != NULL ? link_call(link, "select state, epoch from punit.inspect_user($1)", 1, values)
                     : NULL;

    if (row == NULL) {
        if (link != NULL && link->pg == NULL) {
            peer_failed(e->task.witness, link);
        } else if (link != NULL) {
            link_settle(link);
        }

        return true;
    }

    bool owned = strcmp(PQgetvalue(row, 0, 0), "OWNED") == 0;

    if (owned) {
        deny(e, PQgetvalue(row, 0, 1));
    }

    PQclear(row);
    return !owned;
}


void
bring_user(errand_t *e)
{
    task_t *t = &e->task;
    bool    must = t->phase == PHASE_FENCE;
    bool    want = must || t->asked || e->job->evidence;

    if (!errand_reach(e) || (want && !is_owner(e))) {
        return;
    }

    /* After a failure PULL comes first: it meets the same obstacle, a missing reference row, say,
     * while no user waits. */
    if (t->move_epoch == 0 && e->job->tries == 0) {
        t->move_epoch = t->unit_epoch;
    }

    bool pulled = want && fence_suffices(e, must);

    for (int i = 0; i < STEPS_MAX; i++) {
        bool sent = false;

        if (!pulled) {
            pull_next_t next = pull_at_leisure(e, want);

            if (next == PULL_STOP || (next == PULL_DONE && !want)) {
                return;
            }

            pulled = true;
            sent = next == PULL_SENT;
        }

        fence_next_t next = fence_and_activate(e, sent);

        if (next == FENCE_STOP) {
            return;
        }

        if (next == FENCE_PULL) {
            pulled = false;
        }
    }

    errand_retry(e, 200, 10000);
}
