#include "mover/move/apply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "mover/failpoint.h"
#include "mover/options.h"
#include "mover/stop.h"

static const char open_sql[] = "select punit.apply_open($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/* a copy that a crash forgets is pulled again; an owner that a crash forgets would be a lost user
 */
static const char open_copy_sql[] =
    "select punit.apply_open($1, $2, $3, $4, $5, $6, $7, $8, $9), set_config('synchronous_commit', 'off', true)";

static const char copy_sql[] =
    "select punit.copy_close($1, $2, $4, $5, $6, $7, $8, $3), "
    "punit.move_applied($1, $2, $9, $10, $11, $4, $12, $13, $14, $15, $7, $8)";
static const char activate_sql[] =
    "select punit.activate($1, $2, $4, $5, $6, $7, $8, $3, $16, $17), "
    "punit.move_applied($1, $2, $9, $10, $11, $4, $12, $13, $14, $15, $7, $8)";
static const char take_sql[] =
    "select punit.take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";


static void
fail(apply_t *a)
{
    if (!a->failed) {
        a->failed = true;
        snprintf(a->answer, sizeof(a->answer), "%s", a->local->error);
    }
}


/* What a function answered with one text; false unless it is OK. */
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


/* Rows of a month that is not here yet need a partition. Its own transaction, and only when the
 * peer has others than last time: the user may be waiting. */
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
    char              base[24], ver[24], epoch[24];
    const char       *values[] = {
              a->task->user, a->task->unit, a->task->there, a->task->here,          s->full ? "t" : "f",
              base,          ver,           s->fork,        a->epoch ? epoch : NULL
    };

    snprintf(base, sizeof(base), "%lld", s->base);
    snprintf(ver, sizeof(ver), "%lld", s->ver);
    snprintf(epoch, sizeof(epoch), "%lld", a->epoch);

    if (!answered(a, link_begin(a->local, a->epoch ? open_sql : open_copy_sql, 9, values))) {
        return false;
    }

    /* punitctl moves finds the progress of this COPY by it */
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


static bool
copy_begin(apply_t *a, int table)
{
    const plan_table_t *t = &a->plan->tables[table];
    PGresult *r = link_call(a->local, a->snapshot->full ? t->direct_in : t->stage_in, 0, NULL);

    if (r == NULL) {
        fail(a);
        return false;
    }

    bool in = PQresultStatus(r) == PGRES_COPY_IN;

    PQclear(r);
    a->copying = table;
    a->staged[table] = true;
    return in;
}


static void
copy_end(apply_t *a)
{
    if (a->copying < 0) {
        return;
    }

    a->copying = -1;

    if (PQputCopyEnd(a->local->pg, NULL) != 1) {
        snprintf(a->local->error, sizeof(a->local->error), "%s", PQerrorMessage(a->local->pg));
        fail(a);
        return;
    }

    PGresult *r;

    while ((r = link_next(a->local)) != NULL) {
        PQclear(r);
    }

    if (a->local->error[0] != '\0') {
        fail(a);
        link_settle(a->local);
    }
}


/* A tombstone's line names its table: columns buried_at, pk, tab, user_id, ver in COPY's text form.
 */
static void
note_tomb(apply_t *a, const char *line, int len)
{
    const char *p = line, *end = line + len;

    for (int skip = 0; skip < 2 && p != NULL; skip++) {
        p = memchr(p, '\t', (size_t) (end - p));
        p = p == NULL ? NULL : p + 1;
    }

    const char *q = p == NULL ? NULL : memchr(p, '\t', (size_t) (end - p));

    if (q == NULL) {
        return;
    }

    for (int i = 0; i < a->plan->ntables; i++) {
        const char *tab = a->plan->tables[i].tab;

        if (strlen(tab) == (size_t) (q - p) && memcmp(tab, p, (size_t) (q - p)) == 0) {
            a->buried[i] = true;
            return;
        }
    }
}


static void
line(apply_t *a, int table, const char *text, int len)
{
    a->snapshot->rows++;
    a->snapshot->bytes += len;

    if (table == 0) {
        a->snapshot->tombs++;
        note_tomb(a, text, len);
    }

    if (a->failed || (a->copying < 0 && !copy_begin(a, table))) {
        return;
    }

    if (PQputCopyData(a->local->pg, text, len) != 1) {
        snprintf(a->local->error, sizeof(a->local->error), "%s", PQerrorMessage(a->local->pg));
        fail(a);
    }
}


/* Reads the COPYs of all tables and what follows them; false when the peer failed. */
static bool
receive(apply_t *a, link_t *peer)
{
    for (int i = 0; i < a->plan->ntables; i++) {
        PGresult *r = link_next(peer);
        char     *text;
        int       n;

        if (r == NULL) {
            return false;
        }

        bool out = PQresultStatus(r) == PGRES_COPY_OUT;

        PQclear(r);

        if (!out) {
            return false;
        }

        while ((n = link_copy_line(peer, &text)) > 0) {
            line(a, i, text, n);
            FAILPOINT("rows.arriving", peer);
            PQfreemem(text);
        }

        copy_end(a);

        if (n < 0 || (r = link_next(peer)) == NULL) {
            return false;
        }

        PQclear(r);
    }

    return snapshot_read_end(a->snapshot, peer);
}


/* A delta: first the keys that tombstones name, then the keys listed, then the rows. Upserts would
 * break on secondary unique keys and on a key deleted and made again. */
static bool
enter_delta(apply_t *a)
{
    char  *sql;
    size_t size;
    bool   any = false;

    for (int i = 0; i < a->plan->ntables; i++) {
        any |= a->staged[i];
    }

    if (!any) {
        return true;
    }

    FILE *f = open_memstream(&sql, &size);

    if (f == NULL) {
        return false;
    }

    /* the staging tables have no statistics: whatever the planner believes, go by key from them */
    fputs("set local enable_hashjoin = off; set local enable_mergejoin = off", f);

    for (int i = 0; i < a->plan->ntables; i++) {
        if (a->buried[i] && a->plan->tables[i].bury != NULL) {
            fprintf(f, "; %s", a->plan->tables[i].bury);
        }
    }

    for (int i = 0; i < a->plan->ntables; i++) {
        if (a->staged[i]) {
            fprintf(f, "; %s; %s", a->plan->tables[i].remove, a->plan->tables[i].enter);
        }
    }

    fputs("; set local enable_hashjoin = default; set local enable_mergejoin = default", f);

    if (fclose(f) != 0) {
        return false;
    }

    bool ok = link_run(a->local, sql);

    free(sql);

    if (!ok) {
        fail(a);
    }

    return ok;
}


/* How long he should stay: twice as long as he should have stayed where he comes from, if he flips.
 */
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


/* Compares what is here now with what was sent, and notes both the outcome and the move's record;
 * commit() makes them so. */
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

    if (strncmp(a->answer, "DIGEST", 6) == 0) {
        return APPLY_BROKEN;
    }

    return APPLY_NOTHING;
}


/* Not with the commit: `on commit delete rows` empties every staging table and its index, whether
 * it was used or not. A connection whose tables are not empty is of no use. */
static void
clear_stage(apply_t *a)
{
    char  *sql;
    size_t size;
    bool   any = false;
    FILE  *f = open_memstream(&sql, &size);

    if (f == NULL) {
        link_close(a->local);
        return;
    }

    fputs("begin; set local synchronous_commit = off; truncate ", f);

    for (int i = 0; i < a->plan->ntables; i++) {
        if (a->staged[i]) {
            fprintf(f, "%s%s", any ? ", " : "", a->plan->tables[i].staged);
            any = true;
        }
    }

    fputs("; commit", f);

    if (fclose(f) != 0) {
        link_close(a->local);
        return;
    }

    if (any && !a->snapshot->full && !link_run(a->local, sql)) {
        link_close(a->local);
    }

    free(sql);
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
init(apply_t *a, link_t *local, plan_t *plan, const task_t *task, snapshot_t *snapshot,
     long long epoch)
{
    memset(a, 0, sizeof(*a));
    a->local = local;
    a->plan = plan;
    a->task = task;
    a->snapshot = snapshot;
    a->epoch = epoch;
    a->copying = -1;
}


static void
note_pause(snapshot_t *snapshot)
{
    if (snapshot->fenced_at > 0) {
        snapshot->applied_us = (long) ((punit_clock_s() - snapshot->fenced_at) * 1e6);
    }
}


/* Nothing of it stays. */
static apply_result_t
undo(apply_t *a, apply_result_t result)
{
    free(a->staged);
    link_settle(a->local);
    return result;
}


apply_result_t
apply_rows(apply_t *a, link_t *local, link_t *peer, plan_t *plan, const task_t *task,
           snapshot_t *snapshot, long long epoch)
{
    apply_result_t result = APPLY_LATER;

    init(a, local, plan, task, snapshot, epoch);
    a->staged = calloc(2 * (size_t) plan->ntables, sizeof(bool));

    if (a->staged != NULL) {
        a->buried = a->staged + plan->ntables;

        if (!have_months(a, plan) || !begin(a)) {
            result = result_of(a);

        } else if (!receive(a, peer)) {
            snprintf(a->answer, sizeof(a->answer), "%s", peer->error);
            copy_end(a);

        } else if (a->failed || (!snapshot->full && !enter_delta(a))) {
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
        /* after a lost COMMIT nobody knows; what the database says next decides */
        fail(a);
        return undo(a, APPLY_LATER);
    }

    note_pause(a->snapshot);
    clear_stage(a);
    free(a->staged);
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

    init(a, local, plan, task, s, epoch);

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
    /* after a lost answer nobody knows; what the database says next decides */
    a->failed = strcmp(local->sqlstate, "PU409") != 0;
    result = result_of(a);
    link_settle(local);
    return result;
}
