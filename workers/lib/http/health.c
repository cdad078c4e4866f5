#include "lib/http/health.h"

#include "lib/base/config.h"
#include "lib/grid/grid.h"
#include "lib/http/sql.h"

static const punit_kind_t not_ready = { 503, "not-ready", "The unit is not ready" };


punit_problem_t *
punit_health(punit_request_t *r, punit_answer_t *a)
{
    const char      *failing = "";
    PGresult        *rows;
    punit_problem_t *problem = punit_sql_query(r, "select 1", 0, NULL, &rows, NULL);

    if (problem != NULL) {
        failing = "\"database\"";
    }

    if (!punit_grid_alive(r->grid)) {
        failing =
            punit_arena_format(r->arena, "%s%s\"grid\"", failing, *failing != '\0' ? "," : "");
    }

    if (!punit_grid_alive(r->token_grid)) {
        failing = punit_arena_format(r->arena, "%s%s\"token-grid\"", failing,
                                     *failing != '\0' ? "," : "");
    }

    if (*failing != '\0') {
        problem =
            punit_problem(r->arena, &punit_problem_try_later, "Not all that it needs answers");
        problem->failing = punit_arena_format(r->arena, "[%s]", failing);
        return problem;
    }

    a->body = punit_arena_format(r->arena, "{\"status\":\"ok\",\"service\":\"%s\",\"unit\":\"%s\"}",
                                 r->service_name, punit_config.unit);
    return NULL;
}


punit_problem_t *
punit_ready(punit_request_t *r, punit_answer_t *a)
{
    const char *failing = "";
    PGresult   *rows;

    if (punit_sql_query(r, "select why from punit.not_ready()", 0, NULL, &rows, NULL) != NULL) {
        failing = "\"database\"";

    } else {
        for (int i = 0; i < PQntuples(rows); i++) {
            failing = punit_arena_format(r->arena, "%s%s\"%s\"", failing, i > 0 ? "," : "",
                                         PQgetvalue(rows, i, 0));
        }
    }

    if (*failing != '\0') {
        punit_problem_t *problem = punit_problem(r->arena, &not_ready, NULL);

        problem->failing = punit_arena_format(r->arena, "[%s]", failing);
        return problem;
    }

    a->no_store = true;
    a->body =
        punit_arena_format(r->arena, "{\"status\":\"ready\",\"unit\":\"%s\"}", punit_config.unit);
    return NULL;
}
