#include "mover/tend/inbox.h"

#include <poll.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/pg/conninfo.h"
#include "lib/pg/schema.h"
#include "mover/failpoint.h"
#include "mover/link.h"
#include "mover/session.h"
#include "mover/stop.h"

#define SWEEP_MS   500 /* A notice may be lost with a connection. */
#define TIDY_MS    30000
#define RETRY_MS   200
#define OPEN_MS    3000
#define TIMEOUT_MS 60000

/* What the inbox writes is new: unlike the mover's other sessions, this one runs triggers. */
static const char session_sql[] =
    "set search_path = ''; set timezone = 'UTC'; set lock_timeout = '3s'; "
    "set statement_timeout = 0; set client_min_messages = error; set jit = off; listen punit_inbox";


static bool
inbox_open(link_t *link)
{
    char *conninfo = punit_conninfo_own("punit_mover", "punit-inbox");
    bool  ok = conninfo != NULL && link_open(link, conninfo, OPEN_MS);

    free(conninfo);

    if (ok) {
        link->timeout_ms = TIMEOUT_MS;
        ok = punit_schema_fits(link->pg, punit_clock_ms() + OPEN_MS, link->error,
                               sizeof(link->error))
             && link_run(link, session_sql);
    }

    if (!ok) {
        link_close(link);
    }

    return ok;
}


/* Handles the messages of one transaction; whether more may be due. */
static bool
work(link_t *link)
{
    PGresult *r = link_call(link, "select done, failed, waiting from punit.work_off()", 0, NULL);

    if (r != NULL && atol(PQgetvalue(r, 0, 0)) > 0) {
        FAILPOINT("inbox.committed", link);
    }

    if (r == NULL) {
        session_failed(link, "inbox-failed", "work_off");
        return false;
    }

    long done = atol(PQgetvalue(r, 0, 0));
    long failed = atol(PQgetvalue(r, 0, 1));

    if (failed > 0) {
        /* punit.inbox_late holds the messages and the errors. */
        punit_log(PUNIT_LOG_ERROR, "messages-failed", "n=%ld", failed);
    }

    PQclear(r);
    return done + failed > 0;
}


static void
tidy(link_t *link)
{
    if (!link_run(link, "select punit.inbox_tidy(); select punit.forget_again()")) {
        session_failed(link, "inbox-failed", "tidy");
    }
}


static void
wait_for_notice(link_t *link)
{
    struct pollfd p = { .fd = PQsocket(link->pg), .events = POLLIN };
    PGnotify     *notice = PQnotifies(link->pg);

    if (notice == NULL && poll(&p, 1, SWEEP_MS) > 0) {
        PQconsumeInput(link->pg);
    }

    do {
        PQfreemem(notice);
    } while ((notice = PQnotifies(link->pg)) != NULL);
}


void *
inbox_run(void *unused)
{
    link_t link = { .pg = NULL };
    long   tidied_at = punit_clock_ms() - TIDY_MS;

    (void) unused;

    while (!stop_begun()) {
        if (!link_ready(&link)) {
            link_close(&link);

            if (!inbox_open(&link)) {
                poll(NULL, 0, RETRY_MS);
                continue;
            }
        }

        if (punit_clock_ms() - tidied_at >= TIDY_MS) {
            tidied_at = punit_clock_ms();
            tidy(&link);
        }

        if (!link_ready(&link) || work(&link)) {
            continue;
        }

        if (link_ready(&link)) {
            wait_for_notice(&link);
        } else {
            poll(NULL, 0, RETRY_MS);
        }
    }

    link_close(&link);
    return NULL;
}
