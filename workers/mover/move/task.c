#include "mover/move/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char task_sql[] =
    "select state, epoch, ver, fork, fence_epoch, fenced_ms, unit, here, there, shape, move_id, "
    "phase, asked, move_epoch, pass_id, pass_to, pass_there, cancelled_ms, draining, unit_epoch, "
    "pass_paced, witness from punit.task($1, $2, $3)";

#define TASK_COLUMNS 22

static const char *const states[TASK_STATES] = { "COPY", "OWNED", "FENCED", "ERASED" };
static const char *const phases[TASK_PHASES] = {
    "", "wanted", "copy", "fence", "retire", "refuse"
};


/* An unknown name counts as the first. */
static int
index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }

    return 0;
}


bool
task_load(task_t *task, link_t *local, const job_t *job)
{
    char        epoch[24];
    const char *values[] = { job->user, *job->unit ? job->unit : NULL, epoch };

    snprintf(epoch, sizeof(epoch), "%lld", job->epoch);

    PGresult *row = link_call(local, task_sql, 3, values);

    if (row == NULL) {
        return false;
    }

    const char *v[TASK_COLUMNS];

    for (int i = 0; i < TASK_COLUMNS; i++) {
        v[i] = PQgetvalue(row, 0, i);
    }

    memcpy(task->user, job->user, sizeof(task->user));
    task->state = (task_state_t) index_of(states, TASK_STATES, v[0]);
    task->epoch = atoll(v[1]);
    task->ver = atoll(v[2]);
    snprintf(task->fork, sizeof(task->fork), "%s", v[3]);
    task->fence_epoch = atoll(v[4]);
    task->fenced_ms = atol(v[5]);
    snprintf(task->unit, sizeof(task->unit), "%s", v[6]);
    snprintf(task->here, sizeof(task->here), "%s", v[7]);
    snprintf(task->there, sizeof(task->there), "%s", v[8]);
    snprintf(task->shape, sizeof(task->shape), "%s", v[9]);
    snprintf(task->move_id, sizeof(task->move_id), "%s", v[10]);
    task->phase = (task_phase_t) index_of(phases, TASK_PHASES, v[11]);
    task->asked = v[12][0] == 't';
    task->move_epoch = atoll(v[13]);
    snprintf(task->pass_id, sizeof(task->pass_id), "%s", v[14]);
    snprintf(task->pass_to, sizeof(task->pass_to), "%s", v[15]);
    snprintf(task->pass_there, sizeof(task->pass_there), "%s", v[16]);
    task->cancelled_ms = *v[17] != '\0' ? atol(v[17]) : -1;
    task->draining = v[18][0] == 't';
    task->unit_epoch = atoll(v[19]);
    task->pass_paced = v[20][0] == 't';
    snprintf(task->witness, sizeof(task->witness), "%s", v[21]);
    PQclear(row);
    return true;
}
