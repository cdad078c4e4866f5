/*
 * punitctl user: the state of a user at each unit.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"

static const char *const columns[] = {
    "unit",       "state",    "epoch",       "ver",        "fork",
    "owner_hint", "fence_to", "fence_epoch", "touched_at", "problem",
};
#define COLUMNS (sizeof(columns) / sizeof(*columns))


/* The roles as the user's owner has them. NULL: no owner was asked yet, or it cannot say. */
static const char *roles;


static void
ask_roles(PGconn *db, const char *id)
{
    const char *error;
    PGresult   *row = database_query(db, &error, "select auth.roles_of($1) as roles", 1, &id);

    if (row != NULL) {
        roles = database_field(row, 0, "roles");
    }
    PQclear(row);
}


/* A row of the table for one unit. `db` NULL: the unit does not answer, for `problem`. */
static const char **
inspect(PGconn *db, const char *id, const char *unit, const char *problem)
{
    const char **row = pool_alloc(COLUMNS * sizeof(*row));
    PGresult    *found = NULL;

    row[0] = unit;
    if (db != NULL) {
        found = database_query(
            db, &problem,
            "select state, epoch, ver, fork, owner_hint, fence_to, fence_epoch, " DATABASE_TIME(
                "touched_at") " as touched_at from punit.inspect_user($1)",
            1, &id);
    }
    if (found == NULL) {
        row[COLUMNS - 1] = problem;
        return row;
    }
    for (size_t i = 1; i + 1 < COLUMNS; i++) {
        row[i] = database_field(found, 0, columns[i]);
    }
    PQclear(found);
    if (row[1] != NULL && strcmp(row[1], "OWNED") == 0) {
        ask_roles(db, id);
    }
    return row;
}


static json_t *
object(const char *const *row)
{
    json_t *all = json_object();

    for (size_t i = 0; i < COLUMNS; i++) {
        bool whole = i == 2 || i == 3 || i == 7;

        json_object_set_new(all, columns[i],
                            row[i] == NULL ? json_null()
                            : whole        ? json_integer(strtoll(row[i], NULL, 10))
                                           : json_string(row[i]));
    }
    return all;
}


static void
print_json(const char *id, const char *const *const *rows, size_t count)
{
    json_t *units = json_array();
    json_t *all = json_pack("{s:s, s:o?, s:o}", "user", id, "roles",
                            roles != NULL ? output_words(roles) : NULL, "units", units);

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(units, object(rows[i]));
    }
    output_json(all);
}


static void
print_table(const char *id, const char *const *const *rows, size_t count)
{
    const char **cells = pool_alloc((count + 1) * COLUMNS * sizeof(*cells));

    memcpy(cells, columns, sizeof(columns));
    for (size_t i = 0; i < count; i++) {
        memcpy(&cells[(i + 1) * COLUMNS], rows[i], sizeof(columns));
    }
    printf("user %s\n", id);
    if (roles != NULL) {
        printf("roles %s\n", roles);
    }
    output_table(cells, count + 1, COLUMNS);
}


int
verb_user(const arguments_t *arguments)
{
    const char **rows[256];
    PGresult    *peers = NULL;
    unit_t       unit;
    const char  *id;
    size_t       count = 0;
    bool         known = false, complete = true;
    PGconn      *db;

    db = database_open_own(&unit, arguments);
    id = db != NULL ? user_name_id(&unit, db, arguments->operand[0]) : NULL;
    if (id != NULL) {
        rows[count++] = inspect(db, id, unit.id, NULL);
        peers = database_query(db, NULL, "select id, pg from punit.peer order by id", 0, NULL);
    }
    PQfinish(db);
    if (peers == NULL) {
        return EXIT_FAILED;
    }
    for (int i = 0; i < PQntuples(peers) && count < 256; i++) {
        const char *reason = NULL;
        PGconn     *there = database_open_peer(database_field(peers, i, "pg"), &reason);

        rows[count++] = inspect(there, id, database_field(peers, i, "id"), reason);
        PQfinish(there);
    }
    PQclear(peers);
    for (size_t i = 0; i < count; i++) {
        known = known || rows[i][1] != NULL;
        complete = complete && rows[i][COLUMNS - 1] == NULL;
    }

    const char *const *const *table = (const char *const *const *) rows;

    print_table(id, table, count);
    print_json(id, table, count);
    if (!known) {
        return output_problem("no-user", "no unit that answered has user %s", id);
    }
    return complete ? EXIT_OK : EXIT_FAILED;
}
