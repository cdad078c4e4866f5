#include "mover/move/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mover/failpoint.h"


bool
rows_init(rows_t *rows, link_t *local, const plan_t *plan, const char *user, snapshot_t *snapshot)
{
    memset(rows, 0, sizeof(*rows));
    rows->local = local;
    rows->plan = plan;
    rows->user = user;
    rows->snapshot = snapshot;
    rows->copying = -1;
    rows->staged = calloc(2 * (size_t) plan->ntables, sizeof(bool));

    if (rows->staged == NULL) {
        return false;
    }

    rows->buried = rows->staged + plan->ntables;
    return true;
}


void
rows_free(rows_t *rows)
{
    free(rows->staged);
    rows->staged = NULL;
}


static void
fail(rows_t *rows)
{
    if (!rows->failed) {
        rows->failed = true;
        snprintf(rows->error, sizeof(rows->error), "%s", rows->local->error);
    }
}


/* libpq failed to put COPY data. */
static void
fail_to_put(rows_t *rows)
{
    snprintf(rows->local->error, sizeof(rows->local->error), "%s", PQerrorMessage(rows->local->pg));
    fail(rows);
}


/* PostgreSQL itself leaves out what is not of this user and of these versions, since a peer could
 * write lines that another parser reads in another way. rows_end_copy counts. */
static bool
begin_copy(rows_t *rows, int table)
{
    const plan_table_t *t = &rows->plan->tables[table];
    const snapshot_t   *s = rows->snapshot;
    PGresult           *r = NULL;
    char               *sql;
    size_t              size;
    FILE               *f = open_memstream(&sql, &size);

    if (f != NULL) {
        fprintf(f, "%s where user_id = '%s' and ver > %lld and ver <= %lld",
                s->full ? t->direct_in : t->stage_in, rows->user, s->base, s->ver);

        if (fclose(f) == 0) {
            r = link_call(rows->local, sql, 0, NULL);
        }

        free(sql);
    }

    if (r == NULL) {
        fail(rows);
        return false;
    }

    bool in = PQresultStatus(r) == PGRES_COPY_IN;

    PQclear(r);
    rows->copying = table;
    rows->lines = 0;
    rows->staged[table] = true;
    return in;
}


void
rows_end_copy(rows_t *rows)
{
    PGresult *r;

    if (rows->copying < 0) {
        return;
    }

    rows->copying = -1;

    if (PQputCopyEnd(rows->local->pg, NULL) != 1) {
        fail_to_put(rows);
        return;
    }

    while ((r = link_next(rows->local)) != NULL) {
        if (PQresultStatus(r) == PGRES_COMMAND_OK) {
            long long taken = atoll(PQcmdTuples(r));

            rows->others += rows->lines > taken ? rows->lines - taken : taken - rows->lines;
        }

        PQclear(r);
    }

    if (rows->local->error[0] != '\0') {
        fail(rows);
        link_settle(rows->local);
    }
}


/* The line of a tombstone names its table. It holds the columns buried_at, pk, tab, user_id and ver
 * in COPY's text form. */
static void
note_tomb(rows_t *rows, const char *line, int len)
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

    for (int i = 0; i < rows->plan->ntables; i++) {
        const char *tab = rows->plan->tables[i].tab;

        if (strlen(tab) == (size_t) (q - p) && memcmp(tab, p, (size_t) (q - p)) == 0) {
            rows->buried[i] = true;
            return;
        }
    }
}


static void
put_line(rows_t *rows, int table, const char *text, int len)
{
    rows->snapshot->rows++;
    rows->snapshot->bytes += len;

    if (table == 0) {
        rows->snapshot->tombs++;
        note_tomb(rows, text, len);
    }

    if (rows->failed || (rows->copying < 0 && !begin_copy(rows, table))) {
        return;
    }

    rows->lines++;

    if (PQputCopyData(rows->local->pg, text, len) != 1) {
        fail_to_put(rows);
    }
}


bool
rows_receive(rows_t *rows, link_t *peer)
{
    for (int i = 0; i < rows->plan->ntables; i++) {
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
            put_line(rows, i, text, n);
            FAILPOINT("rows.arriving", peer);
            PQfreemem(text);
        }

        rows_end_copy(rows);

        if (n < 0 || (r = link_next(peer)) == NULL) {
            return false;
        }

        PQclear(r);
    }

    return snapshot_read_end(rows->snapshot, peer);
}


static bool
any_staged(const rows_t *rows)
{
    bool any = false;

    for (int i = 0; i < rows->plan->ntables; i++) {
        any |= rows->staged[i];
    }

    return any;
}


/* First the keys that tombstones name, then the listed keys, then the rows. Upserts would break on
 * secondary unique keys, and on a key that was deleted and made again. */
static char *
enter_sql(const rows_t *rows)
{
    char  *sql;
    size_t size;
    FILE  *f = open_memstream(&sql, &size);

    if (f == NULL) {
        return NULL;
    }

    /* The staging tables have no statistics. Force the planner to go by key from them. */
    fputs("set local enable_hashjoin = off; set local enable_mergejoin = off", f);

    for (int i = 0; i < rows->plan->ntables; i++) {
        if (rows->buried[i] && rows->plan->tables[i].bury != NULL) {
            fprintf(f, "; %s", rows->plan->tables[i].bury);
        }
    }

    for (int i = 0; i < rows->plan->ntables; i++) {
        if (rows->staged[i]) {
            fprintf(f, "; %s; %s", rows->plan->tables[i].remove, rows->plan->tables[i].enter);
        }
    }

    fputs("; set local enable_hashjoin = default; set local enable_mergejoin = default", f);
    return fclose(f) == 0 ? sql : NULL;
}


bool
rows_enter(rows_t *rows)
{
    if (!any_staged(rows)) {
        return true;
    }

    char *sql = enter_sql(rows);

    if (sql == NULL) {
        return false;
    }

    bool ok = link_run(rows->local, sql);

    free(sql);

    if (!ok) {
        fail(rows);
    }

    return ok;
}


/* Not with the commit: `on commit delete rows` would empty every staging table and its index,
 * whether it was used or not. */
static char *
clear_sql(const rows_t *rows)
{
    char  *sql;
    size_t size;
    bool   any = false;
    FILE  *f = open_memstream(&sql, &size);

    if (f == NULL) {
        return NULL;
    }

    fputs("begin; set local synchronous_commit = off; truncate ", f);

    for (int i = 0; i < rows->plan->ntables; i++) {
        if (rows->staged[i]) {
            fprintf(f, "%s%s", any ? ", " : "", rows->plan->tables[i].staged);
            any = true;
        }
    }

    fputs("; commit", f);
    return fclose(f) == 0 ? sql : NULL;
}


void
rows_clear_stage(rows_t *rows)
{
    if (rows->snapshot->full || !any_staged(rows)) {
        return;
    }

    char *sql = clear_sql(rows);

    if (sql == NULL || !link_run(rows->local, sql)) {
        link_close(rows->local);
    }

    free(sql);
}
