/*
 * punitctl doctor: looks for what is wrong with this unit or soon will be.
 */
#include "punitctl/doctor/doctor.h"

#include <stdio.h>

#include "punitctl/unit/database.h"
#include "punitctl/verb.h"

static const struct {
    const char *name;
    void (*run)(doctor_t *doctor);
} checks[] = {
    { "processes", doctor_processes }, { "ports", doctor_ports },
    { "files", doctor_files },         { "certificates", doctor_certificates },
    { "disk", doctor_disk },           { "limits", doctor_limits },
    { "database", doctor_database },   { "grid", doctor_grid },
    { "names", doctor_names },         { "peers", doctor_peers },
    { "clocks", doctor_clocks },
};


static void
print(const json_t *findings)
{
    const json_t *one;
    size_t        i;

    json_array_foreach(findings, i, one)
    {
        const char *todo = output_value(one, "do");

        printf("%-4s  %-12s  %s%s%s\n", output_value(one, "result"), output_value(one, "check"),
               output_value(one, "found"), todo != NULL ? ": " : "", todo != NULL ? todo : "");
    }
}


int
verb_doctor(const arguments_t *arguments)
{
    doctor_t doctor = { .findings = json_array() };
    unit_t   unit;

    if (!unit_open(&unit, arguments)) {
        json_decref(doctor.findings);
        return EXIT_FAILED;
    }
    doctor.unit = &unit;
    doctor.db = database_open(&unit, "postgres", NULL);
    if (doctor.db != NULL) {
        peers_open(&doctor.peers, &unit);
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        doctor.check = checks[i].name;
        checks[i].run(&doctor);
    }
    peers_close(&doctor.peers);
    PQfinish(doctor.db);
    print(doctor.findings);
    output_json(json_pack("{s:b, s:o}", "good", !doctor.failed, "findings", doctor.findings));
    return doctor.failed ? EXIT_FAILED : EXIT_OK;
}
