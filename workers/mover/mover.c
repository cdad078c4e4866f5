#include "mover/mover.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/pg/schema.h"
#include "mover/move/handover.h"
#include "mover/stop.h"

#define LOCAL_TIMEOUT_MS 60000
#define LOCAL_RETRY_MS   200

/* The rows that the mover puts in were checked and stamped where they were written: no trigger of
 * this unit, and the whole connection so, since a change of this setting makes PostgreSQL plan
 * everything anew. The same for the plans: one of each statement serves every user, by key,
 * whatever the tables held when it was made. */
static const char session_sql[] =
    "set session_replication_role = replica; set client_min_messages = error; set search_path = ''; "
    "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; "
    "set lock_timeout = '3s'; set statement_timeout = 0; set idle_in_transaction_session_timeout = '60s'; "
    "set jit = off; set plan_cache_mode = force_generic_plan; set enable_seqscan = off";

/* What a session does for the first time takes it 10 ms, and then a user waits. */
static const char rehearsal_sql[] = "select punit.warm(); select punit.rehearse()";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool            local_away;


static void
note_local(bool away, const char *error)
{
    char quoted[600];

    pthread_mutex_lock(&lock);

    if (away && !local_away) {
        punit_log(PUNIT_LOG_ERROR, "database-away", "error=%s",
                  punit_log_quote(quoted, sizeof(quoted), error));
    } else if (!away && local_away) {
        punit_log(PUNIT_LOG_INFO, "database-back", "unit=%s", punit_config.unit);
    }

    local_away = away;
    pthread_mutex_unlock(&lock);
}


bool
local_open(link_t *link)
{
    char *conninfo = punit_config_conninfo("punit_mover", "punit-mover");
    bool  ok = conninfo != NULL && link_open(link, conninfo, 3000);

    free(conninfo);

    if (ok) {
        link->timeout_ms = LOCAL_TIMEOUT_MS;
        ok = punit_schema_fits(link->pg, punit_clock_ms() + 3000, link->error, sizeof(link->error))
             && link_run(link, session_sql);
    }

    note_local(!ok, link->error);

    if (!ok) {
        link_close(link);
    }

    return ok;
}


bool
mover_replan(mover_t *mover)
{
    /* the staging tables of the old plan go with the connection */
    link_close(&mover->local);
    return mover_local(mover);
}


bool
mover_local(mover_t *mover)
{
    if (mover->local.pg != NULL) {
        PQconsumeInput(mover->local.pg);

        if (link_ready(&mover->local)) {
            return true;
        }

        link_close(&mover->local);
    }

    if (!local_open(&mover->local)) {
        return false;
    }

    if (!plan_load(&mover->plan, &mover->local)) {
        note_local(true, mover->local.error);
        link_close(&mover->local);
        return false;
    }

    /* that it cannot be rehearsed is no reason not to do it */
    if (!link_run(&mover->local, rehearsal_sql)) {
        link_settle(&mover->local);
    }

    return link_ready(&mover->local);
}


void *
mover_run(void *unused)
{
    mover_t  mover = { .peers = peers_create() };
    errand_t errand;

    (void) unused;

    if (mover.peers == NULL) {
        return NULL;
    }

    while (visitor_take(&errand)) {
        outcome_t outcome = { .again_ms = -1, .idle_ms = -peers_idle_ms(mover.peers) };

        if (mover_local(&mover)) {
            handover_errand(&mover, &errand, &outcome);
        } else {
            outcome.failed = true;
            outcome.again_ms = backoff_ms(errand.tries, LOCAL_RETRY_MS, 2000);
        }

        outcome.idle_ms += peers_idle_ms(mover.peers);
        visitor_done(&errand, &outcome);
    }

    peers_destroy(mover.peers);
    plan_free(&mover.plan);
    link_close(&mover.local);
    return NULL;
}
