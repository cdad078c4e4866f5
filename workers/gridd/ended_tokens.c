#include "gridd/ended_tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/uuid.h"
#include "lib/pg/rows.h"

static const char ended[] = "select subject, ceil(extract(epoch from exp))::bigint as exp"
                            "  from auth.ended where kind = 'jti' and exp > now()";


/* Sets the entry, while a slow fill with `ok` only adds one. So the fill never overwrites this. */
static void
revoke(state_t *state, const char *jti, time_t until)
{
    char key[64];

    if (until <= time(NULL)) {
        return;
    }

    snprintf(key, sizeof(key), "punit:tok:%.*s", PUNIT_UUID_LENGTH, jti);

    bool silent = punit_grid_set(state->tokens, key, "revoked", 7, until, 0) != PUNIT_GRID_OK;

    state->catch_up |= silent;
    state_note_grid(&state->tokens_silent, silent, "tokens");
}


void
ended_tokens_notified(state_t *state, const char *payload)
{
    static const char kind[] = "jti ";
    const char       *jti = payload + sizeof(kind) - 1;

    if (strncmp(payload, kind, sizeof(kind) - 1) != 0) {
        return;
    }

    if (strlen(jti) <= PUNIT_UUID_LENGTH || !punit_uuid_is(jti, PUNIT_UUID_LENGTH)
        || jti[PUNIT_UUID_LENGTH] != ' ')
    {
        char quoted[128];

        punit_log(PUNIT_LOG_ERROR, "ended", "payload=%s expected=\"jti <uuid> <seconds>\"",
                  punit_log_quote(quoted, sizeof(quoted), payload));
        return;
    }

    revoke(state, jti, (time_t) strtoll(jti + PUNIT_UUID_LENGTH, NULL, 10));
}


void
ended_tokens_catch_up(state_t *state)
{
    PGresult *rows = listener_query(state->listener, ended);

    if (rows == NULL) {
        return;
    }

    state->catch_up = false;

    for (int i = 0; i < PQntuples(rows) && !state->catch_up; i++) {
        revoke(state, punit_rows_text(rows, i, "subject"),
               (time_t) punit_rows_number(rows, i, "exp"));
    }

    PQclear(rows);
}
