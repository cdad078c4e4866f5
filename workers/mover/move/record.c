#include "mover/move/record.h"

#include <stdio.h>
#include <string.h>

#include "mover/failpoint.h"

/* A crash may forget a new record: no other unit was told of it. */
#define QUICK "with quick as (select set_config('synchronous_commit', 'off', true)) "

/* The unfinished move of $1 to this unit. */
#define UNFINISHED "user_id = $1 and to_unit = punit.self() and finished_at is null"

static const char begin_sql[] =
    QUICK "insert into punit.move (user_id, from_unit, to_unit, phase, base_ver) "
          "select $1, $2, punit.self(), 'copy', $3 from quick "
          "on conflict (user_id, to_unit) where finished_at is null do nothing";

static const char due_sql[] =
    QUICK "update punit.move set rows_due = $2, touched_at = clock_timestamp() from quick "
          "where " UNFINISHED;

static const char fence_sql[] = "select punit.fence_begin($1, $2, $3, $4, $5)";

/* A user whom an operator asked for waits for the missing reference row. The condition is part of
 * the updated row, because an operator may cancel at the same time. */
#define WAITS "asked and not cancelled and error like 'REFERENCE %'"

static const char refused_sql[] =
    "update punit.move set phase = case when " WAITS " then 'wanted' else 'done' end, "
    "result = case when " WAITS " then null when cancelled then 'cancelled' else 'aborted' end, "
    "finished_at = case when " WAITS " then null else clock_timestamp() end, "
    "touched_at = clock_timestamp() "
    "where user_id = $1 and to_unit = punit.self() and phase = 'refuse'";

static const char unfence_sql[] =
    "update punit.move set phase = case when asked then 'wanted' else 'copy' end, "
    "busy = busy + $2::int, error = $3, touched_at = clock_timestamp() "
    "where user_id = $1 and to_unit = punit.self() and phase = 'fence'";

static const char refuse_sql[] =
    "with r as (select punit.refuse($1, $2) as answer), u as ("
    "update punit.move m set phase = 'refuse', error = $3, touched_at = clock_timestamp() from r "
    "where r.answer = 'REFUSED' and m.user_id = $1 and m.to_unit = punit.self() "
    "and m.finished_at is null) select answer from r";

static const char done_sql[] =
    "update punit.move set phase = 'done', result = $2, error = coalesce($3, error), "
    "finished_at = clock_timestamp(), touched_at = clock_timestamp() "
    "where move_id = $1 and finished_at is null";

static const char aborted_sql[] =
    "update punit.move set phase = 'done', result = 'aborted', error = $2, "
    "finished_at = clock_timestamp(), touched_at = clock_timestamp() where " UNFINISHED;

static const char error_sql[] =
    "update punit.move set error = $2, touched_at = clock_timestamp() where " UNFINISHED;

static const char retired_sql[] =
    "update punit.move set phase = 'done', result = 'moved', error = null, "
    "retired_at = clock_timestamp(), finished_at = clock_timestamp(), "
    "touched_at = clock_timestamp() "
    "where user_id = $1 and to_unit = punit.self() and phase = 'retire'";

static const char owned_sql[] =
    "update punit.move set phase = 'retire', "
    "activated_at = coalesce(activated_at, clock_timestamp()), touched_at = clock_timestamp() "
    "where " UNFINISHED;


static bool
run(link_t *local, const char *sql, int n, const char *const *values)
{
    FAILPOINT("record.commit", local);

    PGresult *r = link_call(local, sql, n, values);

    FAILPOINT("record.committed", local);

    if (r == NULL) {
        return false;
    }

    PQclear(r);
    return true;
}


bool
record_begin(link_t *local, const task_t *task)
{
    char        base[24];
    const char *values[] = { task->user, task->unit, base };

    snprintf(base, sizeof(base), "%lld", task->ver);
    return run(local, begin_sql, 3, values);
}


bool
record_due(link_t *local, const task_t *task, const char *rows)
{
    const char *values[] = { task->user, rows };

    return run(local, due_sql, 2, values);
}


bool
record_fence(link_t *local, const task_t *task, long long epoch, long age_ms, bool *cancelled)
{
    char        number[24], base[24], age[24];
    const char *values[] = { task->user, task->unit, number, base, age };

    snprintf(number, sizeof(number), "%lld", epoch);
    snprintf(base, sizeof(base), "%lld", task->ver);
    snprintf(age, sizeof(age), "%ld", age_ms);

    PGresult *r = link_call(local, fence_sql, 5, values);

    if (r == NULL) {
        return false;
    }

    *cancelled = PQgetvalue(r, 0, 0)[0] == 'f';
    PQclear(r);
    return true;
}


bool
record_audit(link_t *local, const task_t *task)
{
    const char *values[] = { task->user };

    return run(local, "select punit.audit_note($1)", 1, values);
}


bool
record_refused(link_t *local, const task_t *task)
{
    const char *values[] = { task->user };

    return run(local, refused_sql, 1, values);
}


bool
record_unfence(link_t *local, const task_t *task, bool busy, const char *error)
{
    const char *values[] = { task->user, busy ? "1" : "0", error };

    return run(local, unfence_sql, 3, values);
}


bool
record_refuse(link_t *local, const task_t *task, long long epoch, const char *error, bool *refused)
{
    char        number[24];
    const char *values[] = { task->user, number, error };

    snprintf(number, sizeof(number), "%lld", epoch);

    PGresult *r = link_call(local, refuse_sql, 3, values);

    if (r == NULL) {
        return false;
    }

    *refused = strcmp(PQgetvalue(r, 0, 0), "REFUSED") == 0;
    PQclear(r);
    return true;
}


bool
record_done(link_t *local, const char *move_id, const char *result, const char *error)
{
    const char *values[] = { move_id, result, error };

    return *move_id == '\0' || run(local, done_sql, 3, values);
}


bool
record_error(link_t *local, const task_t *task, const char *error)
{
    const char *values[] = { task->user, error };

    return run(local, error_sql, 2, values);
}


bool
record_aborted(link_t *local, const task_t *task, const char *error)
{
    const char *values[] = { task->user, error };

    return run(local, aborted_sql, 2, values);
}


bool
record_retired(link_t *local, const task_t *task)
{
    const char *values[] = { task->user };

    return run(local, retired_sql, 1, values);
}


bool
record_owned(link_t *local, const task_t *task)
{
    const char *values[] = { task->user };

    return run(local, owned_sql, 1, values);
}
