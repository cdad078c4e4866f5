/*
 * What the checks find.
 */
#include <stdarg.h>
#include <stdio.h>

#include "punitctl/doctor/doctor.h"


void
doctor_say(doctor_t *doctor, doctor_result_t result, const char *todo, const char *format, ...)
{
    static const char *const words[] = { "ok", "warn", "fail" };
    char                     found[1024];
    va_list                  args;

    va_start(args, format);
    vsnprintf(found, sizeof(found), format, args);
    va_end(args);
    doctor->failed = doctor->failed || result == DOCTOR_FAIL;
    json_array_append_new(doctor->findings,
                          json_pack("{s:s, s:s, s:s, s:s?}", "check", doctor->check, "result",
                                    words[result], "found", found, "do", todo));
}
