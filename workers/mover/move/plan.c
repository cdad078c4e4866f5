#include "mover/move/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plan_sql[] =
    "select punit.shape_md5(), tab, copy_out, stage_in, direct_in, remove, enter, bury, staged, "
    "stage from punit.move_plan()";


static char *
field(PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : strdup(PQgetvalue(rows, row, column));
}


bool
plan_load(plan_t *plan, link_t *local)
{
    plan_free(plan);

    PGresult *rows = link_call(local, plan_sql, 0, NULL);

    if (rows == NULL) {
        return false;
    }

    int n = PQntuples(rows);

    plan->tables = calloc((size_t) n, sizeof(*plan->tables));

    if (plan->tables == NULL) {
        PQclear(rows);
        return false;
    }

    plan->ntables = n;
    snprintf(plan->shape, sizeof(plan->shape), "%s", PQgetvalue(rows, 0, 0));

    for (int i = 0; i < n; i++) {
        plan_table_t *t = &plan->tables[i];

        t->tab = field(rows, i, 1);
        t->copy_out = field(rows, i, 2);
        t->stage_in = field(rows, i, 3);
        t->direct_in = field(rows, i, 4);
        t->remove = field(rows, i, 5);
        t->enter = field(rows, i, 6);
        t->bury = field(rows, i, 7);
        t->staged = field(rows, i, 8);

        if (!link_run(local, PQgetvalue(rows, i, 9))) {
            PQclear(rows);
            return false;
        }
    }

    PQclear(rows);
    return true;
}


void
plan_free(plan_t *plan)
{
    for (int i = 0; i < plan->ntables; i++) {
        plan_table_t *t = &plan->tables[i];

        free(t->tab);
        free(t->copy_out);
        free(t->stage_in);
        free(t->direct_in);
        free(t->remove);
        free(t->enter);
        free(t->bury);
        free(t->staged);
    }

    free(plan->tables);
    memset(plan, 0, sizeof(*plan));
}
