#include "gridd/ended_tokens.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/uuid.h"
#include "lib/pg/rows.h"

#define ENDED                                                                        \
    "select subject, ceil(extract(epoch from exp + auth.leeway()))::bigint as until" \
    "  from auth.ended where kind = 'jti' and exp > now() - auth.leeway()"

static const char all[] = ENDED;
static const char named[] = ENDED " and subject = any ($1::uuid[])";


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

    if (state->nnamed == STATE_NAMED_MAX) {
        state->catch_up = true;
        return;
    }

    snprintf(state->named[state->nnamed++], sizeof(*state->named), "%.*s", PUNIT_UUID_LENGTH, jti);
}


/* Clears rows. */
static void
revoke_rows(state_t *state, PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows) && !state->catch_up; i++) {
        revoke(state, punit_rows_text(rows, i, "subject"),
               (time_t) punit_rows_number(rows, i, "until"));
    }

    PQclear(rows);
}


void
ended_tokens_look(state_t *state)
{
    char        list[STATE_NAMED_MAX * (PUNIT_UUID_LENGTH + 1) + 2] = "{";
    const char *values[] = { list };
    size_t      n = 1;

    if (state->nnamed == 0) {
        return;
    }

    for (int i = 0; i < state->nnamed; i++) {
        n += (size_t) snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? "," : "",
                               state->named[i]);
    }

    snprintf(list + n, sizeof(list) - n, "}");
    state->nnamed = 0;
    revoke_rows(state, listener_query(state->listener, named, 1, values));
}


void
ended_tokens_catch_up(state_t *state)
{
    PGresult *rows = listener_query(state->listener, all, 0, NULL);

    if (rows == NULL) {
        return;
    }

    state->catch_up = false;
    revoke_rows(state, rows);
}
