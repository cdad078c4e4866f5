#include "gridd/generations.h"

#include "lib/base/log.h"
#include "lib/pg/rows.h"

static const char generations[] = "select service, gen from punit.generations()";


void
generations_notified(state_t *state, const char *payload)
{
    punit_log(PUNIT_LOG_DEBUG, "generation", "of=%s", payload);
    state->changed = true;
}


void
generations_write(state_t *state)
{
    /* Reset before the query, since a commit while it runs is announced and read again. */
    state->changed = false;

    PGresult *rows = listener_query(state->listener, generations, 0, NULL);

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
        state_note_grid(&state->grid_silent, silent, "documents");
    }

    PQclear(rows);
}
