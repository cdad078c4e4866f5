/*
 * punitctl keys list, keys rotate: a new signing key is made and published
 * first; it signs once every unit holds its public half.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/text.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/verb.h"

#define NEXT    ".ES256.key.pem.next" /* not yet what the auth worker reads */
#define PRIVATE ".ES256.key.pem"


static const char *
path_of(const struct unit *unit, const char *setting, unsigned long n, const char *suffix)
{
    return text("%s/%s-%lu%s", unit_setting(unit, setting), unit->id, n, suffix);
}


int
verb_keys_list(const struct arguments *arguments)
{
    const char *cells[3 * 300] = { "kid", "since", "held by" };
    struct unit unit;
    PGresult   *rows;
    PGconn     *db;
    int         n = 0;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    db = database_open(&unit, "postgres", NULL);
    rows = db == NULL
               ? NULL
               : database_query(db, NULL,
                                "select k.kid, date_trunc('second', k.created_at) as since,"
                                " (select string_agg(h.origin_unit, ' ' order by h.origin_unit)"
                                "    from punit.unit_key_held h where h.kid = k.kid) as held"
                                " from punit.unit_key k order by k.created_at, k.kid limit 299",
                                0, NULL);
    for (; rows != NULL && n < PQntuples(rows); n++) {
        cells[3 * n + 3] = database_field(rows, n, "kid");
        cells[3 * n + 4] = database_field(rows, n, "since");
        cells[3 * n + 5] = database_field(rows, n, "held");
    }
    if (rows != NULL) {
        say_table(cells, (size_t) n + 1, 3);
    }
    PQclear(rows);
    PQfinish(db);
    return rows != NULL ? EXIT_OK : EXIT_FAILED;
}


/* Units that do not hold the key yet, " us ap"; "" if all do; NULL failed. */
static const char *
missing_at(const struct unit *unit, const char *kid)
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


int
verb_keys_rotate(const struct arguments *arguments)
{
    struct unit   unit;
    unsigned long n, next;
    const char   *kid, *missing;
    int           changed;

    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    n = signing_key_last(unit_setting(&unit, "PUNIT_PRIVATE"), unit.id, PRIVATE);
    next = signing_key_last(unit_setting(&unit, "PUNIT_PRIVATE"), unit.id, NEXT);
    if (next <= n) {
        next = n + 1;
        if (signing_key_make(path_of(&unit, "PUNIT_PRIVATE", next, NEXT),
                             path_of(&unit, "PUNIT_KEYS", next, ".ES256.pem"))
            == FILE_FAILED)
        {
            return EXIT_FAILED;
        }
        say("made the key %s-%lu; it does not sign yet", unit.id, next);
    }
    kid = text("%s-%lu", unit.id, next);
    if (!keys_publish(&unit) || !keys_sync(&unit, &changed) || !keys_reload(&unit)) {
        return EXIT_FAILED;
    }
    missing = missing_at(&unit, kid);
    if (missing == NULL) {
        return EXIT_FAILED;
    }
    if (*missing != '\0') {
        say("published %s; not held yet by%s: run `punitctl keys sync` there,"
            " then `punitctl keys rotate` here again",
            kid, missing);
        return EXIT_FAILED;
    }
    if (rename(path_of(&unit, "PUNIT_PRIVATE", next, NEXT),
               path_of(&unit, "PUNIT_PRIVATE", next, PRIVATE))
        < 0)
    {
        return complain("cannot put the key %s in place: %m", kid);
    }
    if (!keys_reload(&unit)) {
        return EXIT_FAILED;
    }
    say("%s signs from now on; %s-%lu stays good for tokens it has signed", kid, unit.id, n);
    return EXIT_OK;
}
