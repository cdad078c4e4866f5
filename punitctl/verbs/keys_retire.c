/*
 * punitctl keys retire: ends a key of this unit at once, because it was stolen perhaps.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"

typedef struct {
    PGconn     *db;
    const char *kid;
    const char *holders; /* " us ap": units that may still accept the key; NULL: unknown */
} retirement_t;


static bool
held_by_none(void *context)
{
    retirement_t *retirement = context;

    retirement->holders =
        database_value(retirement->db,
                       "select coalesce(string_agg(' ' || h.origin_unit, '' order by"
                       " h.origin_unit), '') from punit.unit_key_held h where h.kid = $1",
                       1, &retirement->kid);
    return retirement->holders == NULL || *retirement->holders == '\0';
}


/* False with the reason printed if the key is not one that this unit may end. */
static bool
may_end(const unit_t *unit, const char *kid)
{
    size_t        n = strlen(unit->id);
    unsigned long signs =
        signing_key_last(unit_setting(unit, "PUNIT_PRIVATE"), unit->id, PUNIT_KEY_FILE_PRIVATE);
    const char *current = pool_printf("%s-%lu", unit->id, signs);

    if (strncmp(kid, unit->id, n) != 0 || kid[n] != '-'
        || kid[n + 1 + strspn(kid + n + 1, "0123456789")] != '\0')
    {
        output_problem("wrong-unit", "%s is no key of unit %s; a key is retired at its own unit",
                       kid, unit->id);
        return false;
    }
    if (strcmp(kid, current) == 0) {
        output_problem("refused", "%s signs; begin with punitctl keys rotate", kid);
        return false;
    }
    return true;
}


/* The private half of a key that did not sign yet, or that signed once. */
static bool
remove_private(const unit_t *unit, const char *kid)
{
    const char *const suffixes[] = { PUNIT_KEY_FILE_PRIVATE, SIGNING_KEY_NEXT };

    for (size_t i = 0; i < 2; i++) {
        const char *path =
            pool_printf("%s/%s%s", unit_setting(unit, "PUNIT_PRIVATE"), kid, suffixes[i]);

        if (file_exists(path) && !file_remove(path)) {
            output_problem("file", "cannot remove %s: %m", path);
            return false;
        }
    }
    return true;
}


static int
retire(const unit_t *unit, retirement_t *retirement, double limit)
{
    const char *until;
    bool        ended;

    output_fact("kid", json_string(retirement->kid));
    if (!database_run(retirement->db, "select punit.end_key($1)", 1, &retirement->kid)
        || !remove_private(unit, retirement->kid) || !keys_drop(unit, retirement->db, &until))
    {
        return EXIT_FAILED;
    }
    output_line("%s is retired here", retirement->kid);
    ended = wait_until(held_by_none, retirement, limit);
    output_fact("held_by", output_words(retirement->holders));
    if (!ended) {
        return output_problem("timed-out",
                              "%s may still be good at:%s; each unit drops it by itself as soon as"
                              " it hears of it",
                              retirement->kid, retirement->holders);
    }
    if (retirement->holders == NULL) {
        return EXIT_FAILED;
    }
    output_line("no unit accepts %s any more", retirement->kid);
    return EXIT_OK;
}


int
verb_keys_retire(const arguments_t *arguments)
{
    double       limit = wait_within(arguments);
    retirement_t retirement = { .kid = arguments->operand[0] };
    int          status = EXIT_FAILED;
    unit_t       unit;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments) || !may_end(&unit, retirement.kid)) {
        return EXIT_FAILED;
    }
    retirement.db = database_open(&unit, "postgres", NULL);
    if (retirement.db != NULL) {
        status = retire(&unit, &retirement, limit);
    }
    PQfinish(retirement.db);
    return status;
}
