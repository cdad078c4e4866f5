#include "mover/session.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/pg/conninfo.h"
#include "lib/pg/schema.h"

#define OPEN_MS    3000
#define TIMEOUT_MS 60000
#define RETRY_MS   200

/* The unit that wrote the rows has checked and stamped them: no trigger of this unit runs. This
 * setting belongs to the whole connection, because a change makes PostgreSQL plan every statement
 * anew. One plan by key serves every user, whatever the tables held when it was made. */
static const char settings_sql[] =
    "set session_replication_role = replica; set client_min_messages = error; "
    "set search_path = ''; set timezone = 'UTC'; set datestyle = 'ISO'; "
    "set intervalstyle = 'postgres'; set bytea_output = 'hex'; set lock_timeout = '3s'; "
    "set statement_timeout = 0; set idle_in_transaction_session_timeout = '60s'; "
    "set jit = off; set plan_cache_mode = force_generic_plan; set enable_seqscan = off";

/* The first execution of each statement takes 10 ms more, and later a user would wait for it. */
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
session_open(link_t *local)
{
    char *conninfo = punit_conninfo_own("punit_mover", "punit-mover");
    bool  ok = conninfo != NULL && link_open(local, conninfo, OPEN_MS);

    free(conninfo);

    if (ok) {
        local->timeout_ms = TIMEOUT_MS;
        ok = punit_schema_fits(local->pg, punit_clock_ms() + OPEN_MS, local->error,
                               sizeof(local->error))
             && link_run(local, settings_sql);
    }

    note_local(!ok, local->error);

    if (!ok) {
        link_close(local);
    }

    return ok;
}


bool
session_reopen(link_t *local, const char *listen)
{
    link_close(local);

    if (session_open(local) && (listen == NULL || link_run(local, listen))) {
        return true;
    }

    link_close(local);
    poll(NULL, 0, RETRY_MS);
    return false;
}


bool
session_ready(session_t *s)
{
    if (s->local.pg != NULL) {
        PQconsumeInput(s->local.pg);

        if (link_ready(&s->local)) {
            return true;
        }

        link_close(&s->local);
    }

    if (!session_open(&s->local)) {
        return false;
    }

    if (!plan_load(&s->plan, &s->local)) {
        note_local(true, s->local.error);
        link_close(&s->local);
        return false;
    }

    /* A session without a rehearsal is slower at first, but it serves. */
    if (!link_run(&s->local, rehearsal_sql)) {
        link_settle(&s->local);
    }

    return link_ready(&s->local);
}


bool
session_replan(session_t *s)
{
    /* The staging tables of the old plan end with the connection. */
    link_close(&s->local);
    return session_ready(s);
}


void
session_close(session_t *s)
{
    plan_free(&s->plan);
    link_close(&s->local);
}


void
session_failed(link_t *local, const char *event, const char *what)
{
    char quoted[600];

    punit_log(PUNIT_LOG_WARN, event, "what=%s error=%s", what,
              punit_log_quote(quoted, sizeof(quoted), local->error));
    link_settle(local);
}
