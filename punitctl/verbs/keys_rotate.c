/*
 * punitctl keys rotate: makes and publishes a new signing key. The key signs as soon as every unit
 * holds its public half.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/verb.h"


static const char *
path_of(const unit_t *unit, const char *setting, unsigned long n, const char *suffix)
{
    return pool_printf("%s/%s-%lu%s", unit_setting(unit, setting), unit->id, n, suffix);
}


/* Units that do not hold the key yet, " us ap"; "" if all do; NULL failed. */
static const char *
missing_at(const unit_t *unit, const char *kid)
{
    PGconn     *db = database_open(unit, "postgres", NULL);
    const char *units =
        db == NULL ? NULL
                   : database_value(
                       db,
                       "select coalesce(string_agg(' ' || p.id, '' order by p.id), '')"
                       " from punit.peer p where not exists (select from punit.unit_key_held h"
                       " where h.origin_unit = p.id and h.kid = $1)",
                       1, (const char *const[]){ kid });

    PQfinish(db);
    return units;
}


/* The private halves of older keys serve nobody but a thief. */
static bool
end_older(const unit_t *unit, const char *kid, unsigned long last)
{
    PGconn     *db = database_open(unit, "postgres", NULL);
    const char *until = NULL;
    bool        ok = db != NULL && keys_end_older(unit, db, kid);

    for (unsigned long n = last; ok && n > 0; n--) {
        file_remove(path_of(unit, "PUNIT_PRIVATE", n, PUNIT_KEY_FILE_PRIVATE));
    }
    if (ok) {
        until = database_value(db,
                               "select " DATABASE_TIME(
                                   "max(until)") " from punit.unit_key_end"
                                                 " where origin_unit = punit.self()",
                               0, NULL);
    }
    PQfinish(db);
    if (until == NULL) {
        return false;
    }
    output_line("%s signs from now on; tokens of %s-%lu are good until %s", kid, unit->id, last,
                until);
    return true;
}


int
verb_keys_rotate(const arguments_t *arguments)
{
    unit_t        unit;
    unsigned long n, next;
    const char   *kid, *missing;
    int           changed;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    n = signing_key_last(unit_setting(&unit, "PUNIT_PRIVATE"), unit.id, PUNIT_KEY_FILE_PRIVATE);
    next = signing_key_last(unit_setting(&unit, "PUNIT_PRIVATE"), unit.id, SIGNING_KEY_NEXT);
    if (next <= n) {
        next = n + 1;
        if (signing_key_make(path_of(&unit, "PUNIT_PRIVATE", next, SIGNING_KEY_NEXT),
                             path_of(&unit, "PUNIT_KEYS", next, PUNIT_KEY_FILE_PUBLIC))
            == FILE_FAILED)
        {
            return EXIT_FAILED;
        }
        output_line("made the key %s-%lu; it does not sign yet", unit.id, next);
    }
    kid = pool_printf("%s-%lu", unit.id, next);
    output_fact("kid", json_string(kid));
    /* The sync makes NGINX and auth read their keys if it has found any. */
    if (!keys_publish(&unit) || !keys_sync(&unit, &changed)
        || (changed == 0 && !keys_reload(&unit))) {
        return EXIT_FAILED;
    }
    missing = missing_at(&unit, kid);
    if (missing == NULL) {
        return EXIT_FAILED;
    }
    output_fact("missing_at", output_words(missing));
    if (*missing != '\0') {
        return output_problem("key-not-held",
                              "published %s, not held yet by%s; run `punitctl keys"
                              " sync` there, then `punitctl keys rotate` here again",
                              kid, missing);
    }
    if (!file_rename(path_of(&unit, "PUNIT_PRIVATE", next, SIGNING_KEY_NEXT),
                     path_of(&unit, "PUNIT_PRIVATE", next, PUNIT_KEY_FILE_PRIVATE)))
    {
        return output_problem("file", "cannot put the key %s in place: %m", kid);
    }
    if (!keys_use(&unit, kid)) {
        return output_problem("key",
                              "%s is in place, but auth does not sign with it yet; see its log",
                              kid);
    }
    output_fact("before", json_string(pool_printf("%s-%lu", unit.id, n)));
    return end_older(&unit, kid, n) ? EXIT_OK : EXIT_FAILED;
}
