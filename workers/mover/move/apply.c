#include "mover/move/apply.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "mover/failpoint.h"
#include "mover/options.h"

#define OPEN "select punit.apply_open($1, $2, $3, $4, $5, $6, $7, $8, $9)"

static const char open_sql[] = OPEN;

/* A copy that a crash forgets is pulled again. An owner that a crash forgets would be a lost user.
 */
static const char open_copy_sql[] = OPEN ", set_config('synchronous_commit', 'off', true)";

#define APPLIED "punit.move_applied($1, $2, $9, $10, $11, $4, $12, $13, $14, $15, $7, $8)"

static const char copy_sql[] = "select punit.copy_close($1, $2, $4, $5, $6, $7, $8, $3), " APPLIED;

static const char activate_sql[] =
    "select punit.activate($1, $2, $4, $5, $6, $7, $8, $3, $16, $17), " APPLIED;

static const char take_sql[] = "select punit.take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
                               "$12, $13, $14, $15, $16, $17)";


static const char others_sql[] = "select punit.copy_others($1, $2, $3, $4)";

static const char note_sql[] = "select punit.note_rows($1, $2, $3)";


static void
fail(apply_t *a)
{
    if (!a->failed) {
        a->failed = true;
        snprintf(a->answer, sizeof(a->answer), "%s", a->local->error);
    }
}


/* Keeps the one text that a function answered; false unless it is OK. */
static bool
answered(apply_t *a, PGresult *row)
{
    if (row == NULL) {
        fail(a);
        return false;
    }

    snprintf(a->answer, sizeof(a->answer), "%s", PQgetvalue(row, 0, 0));
    PQclear(row);
    return strcmp(a->answer, "OK") == 0;
}


static bool
ask(apply_t *a, const char *sql, int n, const char *const *values)
{
    return answered(a, link_call(a->local, sql, n, values));
}


/* Rows of a new month need a partition. It is made in its own transaction, and only when the peer's
 * list has changed, because the user may be waiting. */
static bool
have_months(apply_t *a, plan_t *plan)
{
    const char *values[] = { a->snapshot->months };

    if (strcmp(plan->months, a->snapshot->months) == 0) {
        return true;
    }

    PGresult *row = link_call(a->local, "select punit.have_months($1)", 1, values);

    if (row == NULL) {
        fail(a);
        return false;
    }

    PQclear(row);
    memcpy(plan->months, a->snapshot->months, sizeof(plan->months));
    return true;
}


static bool
begin(apply_t *a)
{
    const snapshot_t *s = a->snapshot;
    const task_t     *t = a->task;
    const char       *full = s->full ? "t" : "f";
    char              base[24], ver[24], epoch[24];
    const char       *new_epoch = a->epoch ? epoch : NULL;
    const char       *values[] = { t->user, t->unit, t->there, t->here,  full,
                                   base,    ver,     s->fork,  new_epoch };

    snprintf(base, sizeof(base), "%lld", s->base);
    snprintf(ver, sizeof(ver), "%lld", s->ver);
    snprintf(epoch, sizeof(epoch), "%lld", a->epoch);

    if (!answered(a, link_begin(a->local, a->epoch ? open_sql : open_copy_sql, 9, values))) {
        return false;
    }

    /* By this name `punitctl moves` finds the progress of the COPY. */
    if (*s->due != '\0') {
        char name[128];

        snprintf(name, sizeof(name), "set local application_name = 'move %s'", a->task->user);

        if (!link_run(a->local, name)) {
            fail(a);
            return false;
        }
    }

    return true;
}


/* Takes over that the database failed while rows arrived or entered. */
static void
note_failed_rows(apply_t *a)
{
    if (a->rows.failed && !a->failed) {
        a->failed = true;
        snprintf(a->answer, sizeof(a->answer), "%s", a->rows.error);
    }
}


/* How long the user should stay. A user who flips stays twice as long as at the unit before. */
static double
dwell_s(const apply_t *a)
{
    double base = (double) options.dwell_ms / 1000;
    double most = (double) options.dwell_max_ms / 1000;

    if (a->task->asked || a->snapshot->stay_s < 0
        || a->snapshot->stay_s * 1000 > (double) options.window_ms)
    {
        return base;
    }

    return fmin(fmax(2 * a->snapshot->dwell_s, base), fmax(most, base));
}


/* Compares the rows here with what the owner sent, and notes the outcome and the move's record. The
 * caller commits. */
static bool
close_copy(apply_t *a)
{
    const snapshot_t *s = a->snapshot;
    char              number[8][24], dwell[32], fenced_at[32];
    long long         numbers[] = { s->ver,  s->gc_ver, s->epoch, a->task->ver,
                                    s->rows, s->bytes,  s->tombs, a->epoch };
    const char       *values[] = { a->task->user, a->task->unit, s->needs,
                                   number[0],     s->fork,       number[1],
                                   s->n,          s->digest,     s->full ? "full" : "delta",
                                   number[2],     number[3],     number[4],
                                   number[5],     number[6],     a->epoch ? fenced_at : NULL,
                                   number[7],     dwell };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(number[i], sizeof(number[i]), "%lld", numbers[i]);
    }

    snprintf(dwell, sizeof(dwell), "%.3f", dwell_s(a));
    snprintf(fenced_at, sizeof(fenced_at), "%.6f", s->fenced_at);
    return a->epoch ? ask(a, activate_sql, 17, values) : ask(a, copy_sql, 15, values);
}


static apply_result_t
result_of(apply_t *a)
{
    if (a->failed) {
        return link_error_passes(a->local) ? APPLY_LATER : APPLY_BROKEN;
    }

    if (strncmp(a->answer, "REFERENCE", 9) == 0) {
        return APPLY_REFERENCE;
    }

    if (strncmp(a->answer, "DIGEST", 6) == 0 || strncmp(a->answer, "FOREIGN", 7) == 0
        || strncmp(a->answer, "BOUND", 5) == 0)
    {
        return APPLY_BROKEN;
    }

    return APPLY_NOTHING;
}


static bool
commit(apply_t *a)
{
    if (a->epoch) {
        FAILPOINT("activate.commit", a->local);
    } else {
        FAILPOINT("copy.commit", a->local);
    }

    bool ok = link_run(a->local, "commit");

    if (a->epoch) {
        FAILPOINT("activate.committed", a->local);
    } else {
        FAILPOINT("copy.committed", a->local);
    }

    return ok;
}


static void
init(apply_t *a, link_t *local, const task_t *task, snapshot_t *snapshot, long long epoch)
{
    memset(a, 0, sizeof(*a));
    a->local = local;
    a->task = task;
    a->snapshot = snapshot;
    a->epoch = epoch;
}


static void
note_pause(snapshot_t *snapshot)
{
    if (snapshot->fenced_at > 0) {
        snapshot->applied_us = (long) ((punit_clock_s() - snapshot->fenced_at) * 1e6);
    }
}


/* Counts what the old owner sent and may not send. The hand-over ends whether it is counted or not.
 */
static void
note_broken(apply_t *a, apply_result_t result)
{
    const char *values[] = { a->task->unit, a->task->user, a->answer };

    if (result != APPLY_BROKEN || a->failed) {
        return;
    }

    PGresult *row = link_call(a->local, note_sql, 3, values);

    if (row == NULL) {
        link_settle(a->local);
    }

    PQclear(row);
}


/* Rolls back. */
static apply_result_t
undo(apply_t *a, apply_result_t result)
{
    rows_free(&a->rows);
    link_settle(a->local);
    note_broken(a, result);
    return result;
}


/* True if all rows that came are the user's. Otherwise a->answer says how many are not. */
static bool
are_the_users(apply_t *a)
{
    char        others[24];
    const char *values[] = { a->task->user, others, a->snapshot->n, a->snapshot->digest };

    if (a->rows.others == 0) {
        return true;
    }

    snprintf(others, sizeof(others), "%lld", a->rows.others);
    return ask(a, others_sql, 4, values);
}


apply_result_t
apply_rows(apply_t *a, link_t *local, link_t *peer, plan_t *plan, const task_t *task,
           snapshot_t *snapshot, long long epoch)
{
    apply_result_t result = APPLY_LATER;

    init(a, local, task, snapshot, epoch);

    if (rows_init(&a->rows, local, plan, task->user, snapshot)) {
        if (!have_months(a, plan) || !begin(a)) {
            result = result_of(a);

        } else if (!rows_receive(&a->rows, peer)) {
            snprintf(a->answer, sizeof(a->answer), "%s", peer->error);
            rows_end_copy(&a->rows);
            note_failed_rows(a);

        } else if (a->rows.failed || (!snapshot->full && !rows_enter(&a->rows))) {
            note_failed_rows(a);
            result = result_of(a);

        } else if (!are_the_users(a)) {
            result = result_of(a);

        } else {
            return APPLY_OK;
        }
    }

    link_settle(peer);
    return undo(a, result);
}


bool
apply_has_references(apply_t *a)
{
    const char *values[] = { a->snapshot->needs };

    return ask(a, "select punit.check_needs($1)", 1, values);
}


apply_result_t
apply_close(apply_t *a)
{
    if (a->failed || !close_copy(a)) {
        return undo(a, result_of(a));
    }

    if (!commit(a)) {
        /* After a lost COMMIT its outcome is unknown: what the database says next decides. */
        fail(a);
        return undo(a, APPLY_LATER);
    }

    note_pause(a->snapshot);
    rows_clear_stage(&a->rows);
    rows_free(&a->rows);
    return APPLY_OK;
}


apply_result_t
apply_snapshot(apply_t *a, link_t *local, link_t *peer, plan_t *plan, const task_t *task,
               snapshot_t *snapshot, long long epoch)
{
    apply_result_t result = apply_rows(a, local, peer, plan, task, snapshot, epoch);

    if (result != APPLY_OK) {
        return result;
    }

    result = apply_close(a);

    if (result != APPLY_OK) {
        link_settle(peer);
    }

    return result;
}


apply_result_t
apply_delta(apply_t *a, link_t *local, plan_t *plan, const task_t *task, snapshot_t *s,
            long long epoch)
{
    apply_result_t result;
    char           number[7][24], dwell[32], fenced_at[32];
    long long      numbers[] = { s->base, s->ver, s->gc_ver, epoch, s->rows, s->bytes, s->tombs };
    const char *values[] = { task->user, task->unit, task->there, task->here, number[0], number[1],
                             s->fork,    number[2],  s->n,        s->digest,  number[3], dwell,
                             number[4],  number[5],  number[6],   fenced_at,  s->delta };

    init(a, local, task, s, epoch);

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(number[i], sizeof(number[i]), "%lld", numbers[i]);
    }

    snprintf(dwell, sizeof(dwell), "%.3f", dwell_s(a));
    snprintf(fenced_at, sizeof(fenced_at), "%.6f", s->fenced_at);

    if (!have_months(a, plan)) {
        result = result_of(a);
        link_settle(local);
        return result;
    }

    FAILPOINT("activate.commit", local);

    PGresult *row = link_call(local, take_sql, 17, values);

    FAILPOINT("activate.committed", local);

    if (row != NULL) {
        PQclear(row);
        note_pause(s);
        return APPLY_OK;
    }

    snprintf(a->answer, sizeof(a->answer), "%s", local->error);
    /* After a lost answer the outcome is unknown: what the database says next decides. */
    a->failed = strcmp(local->sqlstate, "PU409") != 0;
    result = result_of(a);
    link_settle(local);
    note_broken(a, result);
    return result;
}
