#include "punitctl/unit/database.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/pg/conninfo.h"
#include "lib/pg/wire.h"
#include "punitctl/pool.h"
#include "punitctl/unit/supervise_systemd.h"

#define OPEN_MS  5000
#define WHY_SIZE 512

#define DATABASE_SUPERUSER "postgres"

static bool may_be_superuser;


/* Shows warnings to the operator. A NOTICE ("already exists") is left out. */
static void
notice(void *context, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    (void) context;
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        output_error("%s", PQresultErrorMessage(result));
    }
}


static PGconn *
open_with(const char *conninfo, char *why, size_t size)
{
    PGconn *db = punit_wire_open(conninfo, punit_clock_ms() + OPEN_MS, NULL, why, size);

    if (db != NULL) {
        PQsetNoticeReceiver(db, notice, NULL);
    }
    return db;
}


void
database_superuser(bool may)
{
    may_be_superuser = may;
}


PGconn *
database_open(const unit_t *unit, const char *role, const char *database)
{
    const char *pg = unit_setting(unit, "PUNIT_PG");
    char        why[WHY_SIZE];
    PGconn     *db;

    if (strcmp(role, DATABASE_SUPERUSER) == 0 && !may_be_superuser) {
        output_problem("no-rights", "the table of verbs does not make this one a superuser");
        return NULL;
    }
    if (pg == NULL) {
        output_problem("bad-setting", "unit.env has no PUNIT_PG");
        return NULL;
    }
    db = open_with(pool_printf("%s user=%s%s%s application_name=punitctl client_encoding=UTF8", pg,
                               role, database != NULL ? " dbname=" : "",
                               database != NULL ? database : ""),
                   why, sizeof(why));
    if (db == NULL) {
        output_problem("database-down", "no PostgreSQL: %s; is it running? See %s", why,
                       supervise_log(unit, "postgres"));
    }
    return db;
}


PGconn *
database_open_own(unit_t *unit, const arguments_t *arguments)
{
    return unit_open(unit, arguments) ? database_open(unit, "postgres", NULL) : NULL;
}


PGconn *
database_open_peer(const char *pg, const char **reason)
{
    const punit_identity_t nothing = { 0 }; /* punit.peer names the role and the files */
    char                  *conninfo = punit_conninfo_peer(pg, &nothing, "punitctl", NULL);
    char                   why[WHY_SIZE] = "its conninfo in punit.peer is malformed";
    PGconn                *db = conninfo != NULL ? open_with(conninfo, why, sizeof(why)) : NULL;

    free(conninfo);
    if (db == NULL) {
        *reason = pool_printf("%s", why);
    }
    return db;
}


PGresult *
database_query(PGconn *db, const char **error, const char *statement, int count,
               const char *const *values)
{
    PGresult      *result = punit_wire_execute(db, statement, count, values, PUNIT_WIRE_NEVER);
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return result;
    }
    if (error != NULL) {
        const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

        *error = pool_printf("%s", primary != NULL ? primary : PQerrorMessage(db));
    } else {
        output_problem(PQstatus(db) == CONNECTION_OK ? "statement-failed" : "database-down", "%s",
                       PQerrorMessage(db));
    }
    PQclear(result);
    return NULL;
}


bool
database_run(PGconn *db, const char *statement, int count, const char *const *values)
{
    PGresult *result = database_query(db, NULL, statement, count, values);

    PQclear(result);
    return result != NULL;
}


const char *
database_value(PGconn *db, const char *statement, int count, const char *const *values)
{
    PGresult   *result = database_query(db, NULL, statement, count, values);
    const char *value = NULL;

    if (result != NULL && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0)) {
        value = pool_printf("%s", PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return value;
}


/* Takes what libpq has quoted. */
static const char *
keep(char *quoted)
{
    const char *copy = pool_printf("%s", quoted != NULL ? quoted : "");

    PQfreemem(quoted);
    return copy;
}


const char *
database_name(PGconn *db, const char *name)
{
    return keep(PQescapeIdentifier(db, name, strlen(name)));
}


const char *
database_literal(PGconn *db, const char *value)
{
    return keep(PQescapeLiteral(db, value, strlen(value)));
}


const char *
database_field(const PGresult *result, int row, const char *column)
{
    int i = PQfnumber(result, column);

    if (i < 0 || PQgetisnull(result, row, i)) {
        return NULL;
    }
    return pool_printf("%s", PQgetvalue(result, row, i));
}
