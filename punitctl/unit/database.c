#include "punitctl/unit/database.h"

#include <string.h>

#include "punitctl/pool.h"


/* WARNING and worse are for the operator, NOTICE ("already exists") is not. */
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
open_with(const char *conninfo, const char *role, const char *database)
{
    const char *names[] = {
        "dbname", "user", "application_name", "connect_timeout", "client_encoding", "dbname", NULL
    };
    const char *values[] = { conninfo, role, "punitctl", "5", "UTF8", database, NULL };
    PGconn     *db = PQconnectdbParams(names, values, 1);

    if (db != NULL && PQstatus(db) == CONNECTION_OK) {
        PQsetNoticeReceiver(db, notice, NULL);
    }
    return db;
}


PGconn *
database_open(const unit_t *unit, const char *role, const char *database)
{
    const char *pg = unit_setting(unit, "PUNIT_PG");
    PGconn     *db;

    if (pg == NULL) {
        output_error("unit.env has no PUNIT_PG");
        return NULL;
    }
    db = open_with(pg, role, database);
    if (PQstatus(db) != CONNECTION_OK) {
        output_error("no PostgreSQL: %s", PQerrorMessage(db));
        output_error("is it running? See %s/log/postgres.log", unit->dir);
        PQfinish(db);
        return NULL;
    }
    return db;
}


PGconn *
database_open_peer(const char *pg, const char **reason)
{
    PGconn *db = open_with(pg, NULL, NULL);

    if (PQstatus(db) != CONNECTION_OK) {
        char *message = pool_printf("%s", PQerrorMessage(db));

        message[strcspn(message, "\n")] = '\0';
        *reason = message;
        PQfinish(db);
        return NULL;
    }
    return db;
}


PGresult *
database_query(PGconn *db, const char **error, const char *statement, int count,
               const char *const *values)
{
    PGresult      *result = PQexecParams(db, statement, count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return result;
    }
    if (error != NULL) {
        const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

        *error = pool_printf("%s", primary != NULL ? primary : PQerrorMessage(db));
    } else {
        output_error("%s", PQerrorMessage(db));
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


const char *
database_name(PGconn *db, const char *name)
{
    char       *quoted = PQescapeIdentifier(db, name, strlen(name));
    const char *copy = pool_printf("%s", quoted != NULL ? quoted : "");

    PQfreemem(quoted);
    return copy;
}


const char *
database_literal(PGconn *db, const char *value)
{
    char       *quoted = PQescapeLiteral(db, value, strlen(value));
    const char *copy = pool_printf("%s", quoted != NULL ? quoted : "");

    PQfreemem(quoted);
    return copy;
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
