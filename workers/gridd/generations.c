#include "gridd/generations.h"

#include "lib/base/log.h"
#include "lib/pg/rows.h"

static const char generations[] = "select service, gen from punit.generations()";


void
gridd_generations_notified(gridd_state_t *state, const char *payload)
{
    punit_log(PUNIT_LOG_DEBUG, "generation", "of=%s", payload);
    state->changed = true;
}


void
gridd_generations_write(gridd_state_t *state)
{
    /* Reset before the query, since a commit while it runs is announced and read again. */
    state->changed = false;

    PGresult *rows = gridd_link_query(state->link, generations);

    if (rows == NULL) {
        return;
    }

    bool silent = false;

    for (int i = 0; i < PQntuples(rows); i++) {
        uint64_t generation = (uint64_t) punit_rows_number(rows, i, "gen");

        silent |=
            punit_grid_generation(state->grid, punit_rows_text(rows, i, "service"), generation)
            == PUNIT_GRID_TROUBLE;
    }

    if (PQntuples(rows) > 0) {
        gridd_grid_state(&state->grid_silent, silent, "documents");
    }

    PQclear(rows);
}
