/*
 * The checks of the peers, as this unit sees them: their names, their answers and their clocks.
 */
#include <math.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "punitctl/doctor/doctor.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/nginx_state.h"

#define WARN_S 2.0

/* Seconds. NGINX tolerates more in tokens, but machines that follow NTP are far closer. */
#define FAIL_S 5.0


static void
look_at_name(doctor_t *doctor, const char *peer, const char *host)
{
    struct addrinfo *found = NULL;
    int              rc = getaddrinfo(host, NULL, NULL, &found);

    if (rc != 0) {
        doctor_say(doctor, DOCTOR_FAIL, "correct DNS or /etc/hosts, or punitctl unit add again",
                   "%s: %s: %s", peer, host, gai_strerror(rc));
    } else {
        doctor_say(doctor, DOCTOR_OK, NULL, "%s: %s resolves", peer, host);
        freeaddrinfo(found);
    }
}


/* The value of `host` in a conninfo; NULL: none. */
static const char *
host_of(const char *conninfo)
{
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    const char       *host = NULL;

    for (PQconninfoOption *one = all; one != NULL && one->keyword != NULL; one++) {
        if (strcmp(one->keyword, "hostaddr") == 0 && one->val != NULL) {
            host = pool_printf("%s", one->val);
            break;
        }
        if (strcmp(one->keyword, "host") == 0 && one->val != NULL) {
            host = pool_printf("%s", one->val);
        }
    }
    PQconninfoFree(all);
    return host;
}


static PGresult *
rows_of(doctor_t *doctor)
{
    return doctor->db == NULL
               ? NULL
               : database_query(doctor->db, NULL,
                                "select id, pg, listener from punit.peer order by id", 0, NULL);
}


void
doctor_names(doctor_t *doctor)
{
    PGresult *rows = rows_of(doctor);

    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        const char *peer = database_field(rows, i, "id");
        const char *listener = database_field(rows, i, "listener");
        const char *colon = listener != NULL ? strrchr(listener, ':') : NULL;
        const char *hosts[] = { host_of(database_field(rows, i, "pg")),
                                colon != NULL ? pool_copy(listener, (size_t) (colon - listener))
                                              : NULL };

        for (size_t k = 0; k < 2; k++) {
            if (hosts[k] != NULL && hosts[k][0] != '['
                && (k == 0 || hosts[0] == NULL || strcmp(hosts[0], hosts[k]) != 0))
            {
                look_at_name(doctor, peer, hosts[k]);
            }
        }
    }
    PQclear(rows);
}


static void
look_at_front(doctor_t *doctor, const char *peer, const char *listener)
{
    const char *reason = nginx_state_ask_peer(doctor->unit, peer, listener);

    doctor_say(doctor, reason != NULL ? DOCTOR_FAIL : DOCTOR_OK,
               reason != NULL ? "start its NGINX, or open the port between the units" : NULL,
               "%s: its NGINX at %s %s%s", peer, listener,
               reason != NULL ? "does not answer: " : "answers", reason != NULL ? reason : "");
}


/* A mark stays until an operator takes it away, also when the peer is back. */
static void
look_at_marks(doctor_t *doctor)
{
    bool          good;
    json_t       *front = nginx_state(doctor->unit, &good);
    const json_t *one;
    size_t        i;

    json_array_foreach(json_object_get(front, "marks"), i, one)
    {
        const char *peer = json_string_value(json_object_get(one, "peer"));
        const char *mark = json_string_value(json_object_get(one, "mark"));

        if (peer != NULL && mark != NULL && strcmp(mark, "up") != 0) {
            doctor_say(doctor, DOCTOR_WARN,
                       pool_printf("once it is back: punitctl peer %s --up", peer),
                       "%s: marked %s, it gets no requests", peer, mark);
        }
    }
    json_decref(front);
}


void
doctor_peers(doctor_t *doctor)
{
    PGresult *rows = rows_of(doctor);

    look_at_marks(doctor);

    if (rows != NULL && PQntuples(rows) == 0) {
        doctor_say(doctor, DOCTOR_OK, NULL, "this unit has no peers");
    }
    for (int i = 0; rows != NULL && i < PQntuples(rows); i++) {
        const char   *id = database_field(rows, i, "id");
        const char   *listener = database_field(rows, i, "listener");
        const peer_t *peer = peers_find(&doctor->peers, id);

        if (listener != NULL) {
            look_at_front(doctor, id, listener);
        }
        if (peer != NULL && peer->db == NULL) {
            doctor_say(doctor, DOCTOR_FAIL,
                       "start its PostgreSQL, or open the port between the units",
                       "%s: its PostgreSQL does not answer: %s", id, peer->problem);
        } else if (peer != NULL) {
            doctor_say(doctor, DOCTOR_OK, NULL, "%s: its PostgreSQL answers", id);
        }
    }
    PQclear(rows);
}


/* How far ahead the peer's clock is, between the moments before and after the question. */
static bool
ahead(PGconn *db, double *seconds, const char **error)
{
    double    before = punit_clock_s(), after;
    PGresult *row =
        database_query(db, error, "select extract(epoch from clock_timestamp())", 0, NULL);

    after = punit_clock_s();
    if (row == NULL) {
        return false;
    }
    *seconds = strtod(PQgetvalue(row, 0, 0), NULL) - (before + after) / 2;
    PQclear(row);
    return true;
}


void
doctor_clocks(doctor_t *doctor)
{
    for (size_t i = 1; i < doctor->peers.count; i++) {
        const peer_t   *peer = &doctor->peers.unit[i];
        const char     *error;
        double          seconds;
        doctor_result_t result;

        if (peer->db == NULL) {
            continue; /* doctor_peers says why. */
        }
        if (!ahead(peer->db, &seconds, &error)) {
            doctor_say(doctor, DOCTOR_WARN, "look at its PostgreSQL", "%s: no time: %s", peer->id,
                       error);
            continue;
        }
        result = fabs(seconds) > FAIL_S   ? DOCTOR_FAIL
                 : fabs(seconds) > WARN_S ? DOCTOR_WARN
                                          : DOCTOR_OK;
        doctor_say(doctor, result,
                   result != DOCTOR_OK ? "let both machines take their time from NTP" : NULL,
                   "%s: its clock is %.1f s %s this one's", peer->id, fabs(seconds),
                   seconds >= 0 ? "ahead of" : "behind");
    }
}
