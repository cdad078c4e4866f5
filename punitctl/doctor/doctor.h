/*
 * What doctor looks at: one function a check, each of which says what it found.
 */
#ifndef PUNITCTL_DOCTOR_DOCTOR_H
#define PUNITCTL_DOCTOR_DOCTOR_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "punitctl/mesh/peers.h"
#include "punitctl/unit/unit.h"

typedef enum { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL } doctor_result_t;

typedef struct {
    const unit_t *unit;
    const char   *check;    /* the name of the check that runs */
    json_t       *findings; /* an array of check, result, found, do */
    bool          failed;
    PGconn       *db;    /* NULL: the database does not answer */
    peers_t       peers; /* none without the database */
} doctor_t;

/* Adds a finding. `todo` says what to do, NULL: nothing. */
void doctor_say(doctor_t *doctor, doctor_result_t result, const char *todo, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The processes and their ends, and the addresses where they listen. */
void doctor_processes(doctor_t *doctor);
void doctor_ports(doctor_t *doctor);

/* The modes of secret files, certificates, the disks, and the limits of processes. */
void doctor_files(doctor_t *doctor);
void doctor_certificates(doctor_t *doctor);
void doctor_disk(doctor_t *doctor);
void doctor_limits(doctor_t *doctor);

/* PostgreSQL with its version, schema and connections, and memcached. */
void doctor_database(doctor_t *doctor);
void doctor_grid(doctor_t *doctor);

/* Names, peers and their clocks. */
void doctor_names(doctor_t *doctor);
void doctor_peers(doctor_t *doctor);
void doctor_clocks(doctor_t *doctor);

#endif
