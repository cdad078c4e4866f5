/*
 * punitctl user grant, user revoke: the roles of a user, at the unit that owns the user.
 */
#include <jansson.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/user_name.h"
#include "punitctl/verb.h"


static int
refuse(PGconn *db, const char *user, const char *error)
{
    const char *owner =
        database_value(db, "select unit from punit.owner_of($1) where state <> 'OWNED'", 1, &user);

    if (owner != NULL) {
        return output_problem("wrong-unit", "unit %s owns user %s; call this there", owner, user);
    }
    return output_problem("refused", "%s", error);
}


/* {user,editor} -> "user editor" */
static const char *
words(const char *array)
{
    return pool_replace(pool_copy(array + 1, strlen(array) - 2), ',', ' ');
}


static int
change(PGconn *db, const char *user, const char *role, bool grant)
{
    const char *error, *roles;
    PGresult   *row = database_query(db, &error,
                                   grant ? "select auth.grant_role($1, $2) as roles"
                                           : "select auth.revoke_role($1, $2) as roles",
                                     2, (const char *const[]){ user, role });

    if (row == NULL) {
        return refuse(db, user, error);
    }
    roles = database_field(row, 0, "roles");
    PQclear(row);
    if (roles == NULL) {
        return output_problem("no-user", "user %s has no account here", user);
    }
    roles = words(roles);
    output_fact("user", json_string(user));
    output_fact("roles", output_words(roles));
    output_line("user %s has the roles: %s", user, roles);
    output_line(grant ? "the user's next token carries them"
                      : "tokens from before are good no more");
    return EXIT_OK;
}


static int
run(const arguments_t *arguments, bool grant)
{
    const char *user = NULL;
    int         status = EXIT_FAILED;
    unit_t      unit;
    PGconn     *db;

    db = database_open_own(&unit, arguments);
    if (db != NULL) {
        user = user_name_id(&unit, db, arguments->operand[0]);
    }
    if (user != NULL) {
        status = change(db, user, arguments->operand[1], grant);
    }
    PQfinish(db);
    return status;
}


int
verb_user_grant(const arguments_t *arguments)
{
    return run(arguments, true);
}


int
verb_user_revoke(const arguments_t *arguments)
{
    return run(arguments, false);
}
