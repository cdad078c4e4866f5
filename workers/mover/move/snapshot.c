#include "mover/move/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mover/options.h"

/* After so many BUSYs FENCE may send more rows, at most 2^5 times as many. */
#define ALLOW_AFTER   6
#define ALLOW_DOUBLED 5

/* For a T without a copy: more rows come sooner by PULL. */
#define FIRST_ROWS 100

/* The columns of punit.pull that snapshot_read reads, in this order. */
static const char pull_columns[] =
    "result, full_copy, base, ver, epoch, fork, gc_ver, n, digest, unit, unit_epoch, wait_ms, "
    "seen_ms, stay_s, dwell_s, detail, months, sent, tombs, delta, due";

#define PULL_COLUMNS 21

static const char *const results[] = { "OK", "NOT_OWNER", "FENCED", "SHAPE", "ERASED", "VOID" };


/* This unit's database gave every value (uuids, numbers, an MD5), so none needs quoting. */
static void
write_values(FILE *f, const plan_t *plan, const task_t *task, const char *fork, long long ver)
{
    fprintf(f, "%lld, %s%s%s, '%s', '%s', '%s'", ver, *fork ? "'" : "", *fork ? fork : "null",
            *fork ? "'" : "", task->here, task->there, plan->shape);
}


static void
write_read(FILE *f, const plan_t *plan, const task_t *task, const char *fork, long long ver,
           const char *final, bool copies)
{
    fprintf(f, "begin isolation level repeatable read read only; select %s from punit.pull('%s', ",
            pull_columns, task->user);
    write_values(f, plan, task, fork, ver);
    fprintf(f, ", %ld, %s, %s)", task->asked ? 0 : options.quiet_ms, task->asked ? "false" : "true",
            final);

    for (int i = 0; copies && i < plan->ntables; i++) {
        fprintf(f, "; %s", plan->tables[i].copy_out);
    }

    fputs(copies ? "; select n, digest, needs from punit.pulled(); commit" : "; commit", f);
}


static char *
read_sql(const plan_t *plan, const task_t *task, const char *final)
{
    char  *sql;
    size_t size;
    FILE  *f = open_memstream(&sql, &size);

    if (f == NULL) {
        return NULL;
    }

    write_read(f, plan, task, task->fork, task->ver, final, true);
    return fclose(f) == 0 ? sql : NULL;
}


char *
snapshot_pull_sql(const plan_t *plan, const task_t *task)
{
    return read_sql(plan, task, "null");
}


char *
snapshot_final_sql(const plan_t *plan, const task_t *task, long long epoch)
{
    char final[24];

    snprintf(final, sizeof(final), "%lld", epoch);
    return read_sql(plan, task, final);
}


/* A writer and FENCE queue for the user's row, and the writer comes first. If one write alone is
 * too much, only a larger allowance ends that. The throttle (punit.fence) gets its chance before.
 */
static long
fence_allowance(long long ver, int busy)
{
    if (ver < 0) {
        return options.max_rows < FIRST_ROWS ? options.max_rows : FIRST_ROWS;
    }

    int doubled = busy < ALLOW_AFTER ? 0 : busy - ALLOW_AFTER + 1;

    return options.max_rows << (doubled < ALLOW_DOUBLED ? doubled : ALLOW_DOUBLED);
}


char *
snapshot_fence_sql(const plan_t *plan, const task_t *task, const char *fork, long long ver,
                   long long epoch, int busy)
{
    char  *sql;
    char   final[24];
    size_t size;
    FILE  *f = open_memstream(&sql, &size);

    if (f == NULL) {
        return NULL;
    }

    snprintf(final, sizeof(final), "%lld", epoch);
    fprintf(f,
            "begin; select result, epoch, wait_ms, seen_ms, unit, unit_epoch, detail "
            "from punit.fence('%s', %lld, ",
            task->user, epoch);
    write_values(f, plan, task, fork, ver);
    fprintf(f, ", %ld, %ld, %s, %d); commit; ", fence_allowance(ver, busy),
            task->asked ? 0 : options.quiet_ms, task->asked ? "false" : "true", busy);
    write_read(f, plan, task, fork, ver, final, false);
    return fclose(f) == 0 ? sql : NULL;
}


/* The columns of punit.pull; without its row each is empty, which is SNAPSHOT_VOID. */
static void
take_columns(snapshot_t *s, const PGresult *row)
{
    const char *v[PULL_COLUMNS];

    for (int i = 0; i < PULL_COLUMNS; i++) {
        v[i] = PQntuples(row) == 1 && PQnfields(row) == PULL_COLUMNS ? PQgetvalue(row, 0, i) : "";
    }

    s->result = SNAPSHOT_VOID;

    for (int i = 0; i <= SNAPSHOT_VOID; i++) {
        if (strcmp(v[0], results[i]) == 0) {
            s->result = (snapshot_result_t) i;
        }
    }

    s->full = v[1][0] == 't';
    s->base = atoll(v[2]);
    s->ver = atoll(v[3]);
    s->epoch = atoll(v[4]);
    snprintf(s->fork, sizeof(s->fork), "%s", v[5]);
    s->gc_ver = atoll(v[6]);
    snprintf(s->n, sizeof(s->n), "%s", v[7]);
    snprintf(s->digest, sizeof(s->digest), "%s", v[8]);
    snprintf(s->unit, sizeof(s->unit), "%s", v[9]);
    s->unit_epoch = atoll(v[10]);
    s->wait_ms = atol(v[11]);
    s->seen_ms = *v[12] ? atol(v[12]) : -1;
    s->stay_s = *v[13] ? atof(v[13]) : -1;
    s->dwell_s = *v[14] ? atof(v[14]) : -1;
    snprintf(s->detail, sizeof(s->detail), "%s", v[15]);

    if (snprintf(s->months, sizeof(s->months), "%s", v[16]) >= (int) sizeof(s->months)) {
        s->result = SNAPSHOT_VOID;
        snprintf(s->detail, sizeof(s->detail), "the list of its partitions is longer than %d bytes",
                 MONTHS_SIZE);
    }

    snprintf(s->due, sizeof(s->due), "%s", v[20]);
}


/* The rows within the answer, if there are any; false without memory. */
static bool
take_delta(snapshot_t *s, const PGresult *row)
{
    if (s->result != SNAPSHOT_OK || *PQgetvalue(row, 0, 19) == '\0') {
        return true;
    }

    s->rows = atoll(PQgetvalue(row, 0, 17));
    s->tombs = atoll(PQgetvalue(row, 0, 18));
    s->delta = strdup(PQgetvalue(row, 0, 19));
    s->bytes = s->rows > 0 && s->delta != NULL ? (long long) strlen(s->delta) : 0;
    return s->delta != NULL;
}


bool
snapshot_read(snapshot_t *s, link_t *peer)
{
    memset(s, 0, sizeof(*s));

    /* Of BEGIN. */
    PGresult *row = link_next(peer);

    if (row == NULL) {
        return false;
    }

    PQclear(row);
    row = link_next(peer);

    if (row == NULL) {
        return false;
    }

    take_columns(s, row);

    bool taken = take_delta(s, row);

    PQclear(row);

    if (!taken) {
        snprintf(peer->error, sizeof(peer->error), "out of memory");
    }

    return taken;
}


bool
snapshot_read_end(snapshot_t *s, link_t *peer)
{
    PGresult *r = link_next(peer);

    if (r == NULL) {
        return false;
    }

    if (PQntuples(r) == 1 && PQnfields(r) == 3) {
        snprintf(s->n, sizeof(s->n), "%s", PQgetvalue(r, 0, 0));
        snprintf(s->digest, sizeof(s->digest), "%s", PQgetvalue(r, 0, 1));
        s->needs = strdup(PQgetvalue(r, 0, 2));
    }

    if (s->needs == NULL) {
        PQclear(r);
        snprintf(peer->error, sizeof(peer->error), "out of memory");
        return false;
    }

    do {
        PQclear(r);
        r = link_next(peer);
    } while (r != NULL);

    return peer->error[0] == '\0';
}


void
snapshot_free(snapshot_t *s)
{
    free(s->delta);
    free(s->needs);
    s->delta = NULL;
    s->needs = NULL;
}
