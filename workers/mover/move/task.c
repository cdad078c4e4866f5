#include "mover/move/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char task_sql[] =
    "select state, epoch, ver, fork, fence_epoch, fenced_ms, unit, here, there, shape, move_id, phase, asked, "
    "move_epoch, pass_id, pass_to, pass_there, cancelled_ms, draining, unit_epoch, pass_paced from punit.task($1, $2, $3)";

static const char *const states[] = { "COPY", "OWNED", "FENCED", "ERASED" };
static const char *const phases[] = { "", "wanted", "copy", "fence", "retire", "refuse" };


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
task_load(task_t *task, link_t *local, const errand_t *errand)
{
    char        epoch[24];
    const char *values[] = { errand->user, *errand->unit ? errand->unit : NULL, epoch };

    snprintf(epoch, sizeof(epoch), "%lld", errand->epoch);

    PGresult *row = link_call(local, task_sql, 3, values);

    if (row == NULL) {
        return false;
    }

    const char *v[21];

    for (int i = 0; i < 21; i++) {
        v[i] = PQgetvalue(row, 0, i);
    }

    memcpy(task->user, errand->user, sizeof(task->user));
    task->state = (task_state_t) index_of(states, 4, v[0]);
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
    task->phase = (task_phase_t) index_of(phases, 6, v[11]);
    task->asked = v[12][0] == 't';
    task->move_epoch = atoll(v[13]);
    snprintf(task->pass_id, sizeof(task->pass_id), "%s", v[14]);
    snprintf(task->pass_to, sizeof(task->pass_to), "%s", v[15]);
    snprintf(task->pass_there, sizeof(task->pass_there), "%s", v[16]);
    task->cancelled_ms = *v[17] != '\0' ? atol(v[17]) : -1;
    task->draining = v[18][0] == 't';
    task->unit_epoch = atoll(v[19]);
    task->pass_paced = v[20][0] == 't';
    PQclear(row);
    return true;
}
