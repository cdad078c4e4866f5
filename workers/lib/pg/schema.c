#include "lib/pg/schema.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pg/wire.h"

#define SILENCE_MS 60000

typedef struct {
    int version, serves;
} schema_t;


/* No table of versions means no schema at all: version 0. */
static bool
read_version(PGconn *pg, int64_t deadline, schema_t *schema, char *why, size_t size)
{
    PGresult *row = punit_wire_execute(pg, "select version, serves from punit.schema_version", 0,
                                       NULL, deadline);

    if (row == NULL) {
        snprintf(why, size, "the version of the schema was not told in time");
        return false;
    }

    const char *state = PQresultErrorField(row, PG_DIAG_SQLSTATE);
    bool none = state != NULL && (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0);
    bool some = PQresultStatus(row) == PGRES_TUPLES_OK && PQntuples(row) == 1;

    bool ok = none || PQresultStatus(row) == PGRES_TUPLES_OK;
    schema->version = some ? atoi(PQgetvalue(row, 0, 0)) : 0;
    schema->serves = some ? atoi(PQgetvalue(row, 0, 1)) : 0;

    if (!ok) {
        snprintf(why, size, "the version of the schema cannot be read: %s",
                 state != NULL ? PQresultErrorField(row, PG_DIAG_MESSAGE_PRIMARY) : "no answer");
    }

    PQclear(row);
    return ok && PQtransactionStatus(pg) == PQTRANS_IDLE;
}


/* Each connection that is tried would log the same. */
static void
log_refusal(const schema_t *schema, const char *why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static schema_t        logged;
    static int64_t         silent_until;
    char                   quoted[300];
    bool                   again;

    pthread_mutex_lock(&lock);
    again = memcmp(&logged, schema, sizeof(logged)) != 0 || punit_clock_ms() >= silent_until;

    if (again) {
        logged = *schema;
        silent_until = punit_clock_ms() + SILENCE_MS;
    }

    pthread_mutex_unlock(&lock);

    if (again) {
        punit_log(PUNIT_LOG_ERROR, "schema-refused", "schema=%d serves=%d program=%d why=%s",
                  schema->version, schema->serves, PUNIT_SCHEMA_VERSION,
                  punit_log_quote(quoted, sizeof(quoted), why));
    }
}


bool
punit_schema_fits(PGconn *pg, int64_t deadline, char *why, size_t size)
{
    schema_t schema;

    if (!read_version(pg, deadline, &schema, why, size)) {
        return false;
    }

    if (schema.version < PUNIT_SCHEMA_VERSION) {
        snprintf(why, size,
                 "schema version %d is older than version %d, which this program needs: run"
                 " punitctl schema",
                 schema.version, PUNIT_SCHEMA_VERSION);

    } else if (schema.serves > PUNIT_SCHEMA_VERSION) {
        snprintf(why, size,
                 "schema version %d is newer than this program knows: it serves programs from"
                 " version %d on, and this is version %d: upgrade the program",
                 schema.version, schema.serves, PUNIT_SCHEMA_VERSION);

    } else {
        return true;
    }

    log_refusal(&schema, why);
    return false;
}


punit_connection_t *
punit_schema_checked(punit_connection_t *c, int64_t deadline, char *why, size_t size)
{
    if (c != NULL && !punit_schema_fits(c->pg, deadline, why, size)) {
        punit_connection_close(c);
        return NULL;
    }

    return c;
}
