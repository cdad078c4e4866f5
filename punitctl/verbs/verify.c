/*
 * punitctl verify: units that hold the same (fork, ver) of a user must hold the same rows.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/mesh/peers.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"

#define PAGE "200"

static const char *const columns[] = {
    "unit", "state", "epoch", "fork", "ver", "n", "digest",
};
#define COLUMNS (sizeof(columns) / sizeof(*columns))

/* The answer of one unit for a page of users, in order of their ids. */
typedef struct {
    PGresult *rows;
    int       at;
} answer_t;

typedef struct {
    long    users, compared, different, owners;
    json_t *faults;
} count_t;


static const char *
value(const answer_t *answer, const char *column)
{
    return PQgetvalue(answer->rows, answer->at, PQfnumber(answer->rows, column));
}


static bool
same(const answer_t *a, const answer_t *b, const char *column)
{
    return strcmp(value(a, column), value(b, column)) == 0;
}


static json_t *
describe(const char *unit, const answer_t *answer)
{
    json_t *all = json_pack("{s:s}", "unit", unit);

    for (size_t i = 1; i < COLUMNS; i++) {
        const char *text = value(answer, columns[i]);
        bool        whole = i == 2 || i == 4 || i == 5;

        json_object_set_new(all, columns[i],
                            whole ? json_integer(strtoll(text, NULL, 10)) : json_string(text));
    }
    return all;
}


/* Compares the units that hold one user. Returns the list of them. */
static json_t *
compare(const peers_t *peers, answer_t *answers, const bool *holds, const char *user,
        count_t *count)
{
    json_t         *units = json_array();
    bool            compared = false, different = false;
    const answer_t *owner = NULL;
    bool            two = false;

    for (size_t i = 0; i < peers->count; i++) {
        if (!holds[i]) {
            continue;
        }
        json_array_append_new(units, describe(peers->unit[i].id, &answers[i]));
        if (strcmp(value(&answers[i], "state"), "OWNED") == 0) {
            /* The two were asked at different moments. If their epochs differ, the user was handed
             * over in between. */
            two = two || (owner != NULL && same(owner, &answers[i], "epoch"));
            owner = &answers[i];
        }
        for (size_t j = 0; j < i; j++) {
            if (holds[j] && same(&answers[i], &answers[j], "fork")
                && same(&answers[i], &answers[j], "ver")) {
                compared = true;
                different = different || !same(&answers[i], &answers[j], "n")
                            || !same(&answers[i], &answers[j], "digest");
            }
        }
    }
    count->users++;
    count->compared += compared;
    count->different += different;
    count->owners += two;
    if (different || two) {
        json_array_append_new(count->faults,
                              json_pack("{s:s, s:s, s:O}", "user", user, "fault",
                                        two ? "two owners in one epoch" : "rows differ", "units",
                                        units));
    }
    return units;
}


/* The users as the text of a PostgreSQL array. */
static const char *
array_of(const PGresult *users)
{
    int   n = PQntuples(users);
    char *list = pool_alloc((size_t) n * 37 + 3);
    char *end = list;

    *end++ = '{';
    for (int i = 0; i < n; i++) {
        memcpy(end, PQgetvalue(users, i, 0), 36);
        end += 36;
        *end++ = i + 1 < n ? ',' : ' ';
    }
    memcpy(end, "}", 2);
    return list;
}


/* Asks each unit for these users. False if this unit did not answer. */
static bool
verify_page(peers_t *peers, const char *users, count_t *count, json_t **last)
{
    answer_t answers[PEERS_MOST];

    memset(answers, 0, sizeof(answers));
    for (size_t i = 0; i < peers->count; i++) {
        peer_t *peer = &peers->unit[i];

        if (peer->db == NULL) {
            continue;
        }
        answers[i].rows =
            database_query(peer->db, &peer->problem, "select * from punit.holding($1)", 1, &users);
        if (answers[i].rows == NULL) {
            PQfinish(peer->db);
            peer->db = NULL;
        }
    }
    if (peers->unit[0].db == NULL) {
        output_problem("database-down", "%s", peers->unit[0].problem);
    }
    for (;;) {
        bool        holds[PEERS_MOST] = { false };
        const char *user = NULL;

        for (size_t i = 0; i < peers->count; i++) {
            if (answers[i].rows != NULL && answers[i].at < PQntuples(answers[i].rows)
                && (user == NULL || strcmp(value(&answers[i], "user_id"), user) < 0))
            {
                user = value(&answers[i], "user_id");
            }
        }
        if (user == NULL) {
            break;
        }
        user = pool_printf("%s", user);
        for (size_t i = 0; i < peers->count; i++) {
            holds[i] = answers[i].rows != NULL && answers[i].at < PQntuples(answers[i].rows)
                       && strcmp(value(&answers[i], "user_id"), user) == 0;
        }
        json_decref(*last);
        *last = compare(peers, answers, holds, user, count);
        for (size_t i = 0; i < peers->count; i++) {
            answers[i].at += holds[i];
        }
    }
    for (size_t i = 0; i < peers->count; i++) {
        PQclear(answers[i].rows);
    }
    return peers->unit[0].db != NULL;
}


static bool
verify_all(peers_t *peers, count_t *count, json_t **last)
{
    const char *after = NULL;

    while (peers->unit[0].db != NULL) {
        PGresult *users =
            database_query(peers->unit[0].db, NULL, "select punit.held($1, " PAGE ")", 1, &after);
        int n = users != NULL ? PQntuples(users) : -1;

        if (n <= 0) {
            PQclear(users);
            return n == 0;
        }
        after = pool_printf("%s", PQgetvalue(users, n - 1, 0));

        const char *list = array_of(users);

        PQclear(users);
        if (!verify_page(peers, list, count, last)) {
            return false;
        }
        output_progress("%ld users, %ld differ", count->users, count->different);
    }
    return false;
}


static void
print_units(const json_t *units)
{
    size_t       count = json_array_size(units);
    const char **cells = pool_alloc((count + 1) * COLUMNS * sizeof(*cells));

    memcpy(cells, columns, sizeof(columns));
    for (size_t row = 0; row < count; row++) {
        const json_t *unit = json_array_get(units, row);

        for (size_t i = 0; i < COLUMNS; i++) {
            const json_t *cell = json_object_get(unit, columns[i]);

            cells[(row + 1) * COLUMNS + i] =
                json_is_integer(cell)
                    ? pool_printf("%" JSON_INTEGER_FORMAT, json_integer_value(cell))
                    : json_string_value(cell);
        }
    }
    output_table(cells, count + 1, COLUMNS);
}


static void
print(const count_t *count, const json_t *last, bool one)
{
    size_t  i;
    json_t *fault;

    if (one && last != NULL) {
        print_units(last);
    }
    json_array_foreach(count->faults, i, fault)
    {
        output_problem("inconsistent", "user %s: %s",
                       json_string_value(json_object_get(fault, "user")),
                       json_string_value(json_object_get(fault, "fault")));
        if (!one) {
            print_units(json_object_get(fault, "units"));
        }
    }
    output_line("%ld users, %ld held by more than one unit at one version, %ld differ,"
                " %ld with two owners",
                count->users, count->compared, count->different, count->owners);
}


int
verb_verify(const arguments_t *arguments)
{
    count_t     count = { .faults = json_array() };
    bool        all = arguments_value(arguments, "all") != NULL, ok = false, complete = true;
    json_t     *last = NULL, *away = json_array();
    const char *user = NULL;
    peers_t     peers;
    unit_t      unit;

    if (all == (arguments->operands > 0)) {
        output_error("verify needs either a USER or --all");
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    if (!all) {
        PGconn *db = database_open(&unit, "postgres", NULL);

        user = db != NULL ? user_name_id(&unit, db, arguments->operand[0]) : NULL;
        PQfinish(db);
    }
    if ((!all && user == NULL) || !peers_open(&peers, &unit)) {
        return EXIT_FAILED;
    }
    ok = all ? verify_all(&peers, &count, &last)
             : verify_page(&peers, pool_printf("{%s}", user), &count, &last);
    for (size_t i = 0; i < peers.count; i++) {
        if (peers.unit[i].db == NULL) {
            output_problem("peer-unreachable", "%s was not asked: %s", peers.unit[i].id,
                           peers.unit[i].problem);
            json_array_append_new(away, json_string(peers.unit[i].id));
            complete = false;
        }
    }
    peers_close(&peers);
    if (!all && ok && count.users == 0) {
        output_problem("no-user", "no unit holds rows of user %s", user);
        ok = false;
    }
    ok = ok && complete && count.different == 0 && count.owners == 0;
    print(&count, last, !all);
    output_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:O?}", "good", ok, "users",
                          (json_int_t) count.users, "compared", (json_int_t) count.compared,
                          "different", (json_int_t) count.different, "two_owners",
                          (json_int_t) count.owners, "faults", count.faults, "not_asked", away,
                          "units", all ? NULL : last));
    json_decref(last);
    return ok ? EXIT_OK : EXIT_FAILED;
}
