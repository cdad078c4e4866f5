#include "punitctl/report.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"

static FILE   *out;
static json_t *object, *steps, *problem;
static bool    own, records;


void
report_begin(void)
{
    int copy = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

    out = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (out == NULL || nothing < 0 || fcntl(copy, F_SETFD, FD_CLOEXEC) < 0
        || dup2(nothing, STDOUT_FILENO) < 0)
    {
        perror("punitctl: stdout");
        exit(EXIT_FAILED);
    }
    close(nothing);
    object = json_object();
    steps = json_array();
}


bool
report_on(void)
{
    return out != NULL;
}


/* A string of JSON is UTF-8, but an argument or a file's name may be any bytes. */
static json_t *
text(const char *s)
{
    json_t *value = json_string(s);

    if (value == NULL) {
        char *copy = pool_printf("%s", s);

        for (char *c = copy; *c != '\0'; c++) {
            *c = (unsigned char) *c < 0x80 ? *c : '?';
        }
        value = json_string(copy);
    }
    return value;
}


void
report_line(const char *line)
{
    json_array_append_new(steps, text(line));
}


void
report_more(const char *line)
{
    if (json_object_get(problem, "more") == NULL) {
        json_object_set_new(problem, "more", json_array());
    }
    json_array_append_new(json_object_get(problem, "more"), text(line));
}


void
report_error(const char *name, const char *detail, const char *todo)
{
    if (problem == NULL) {
        problem = json_pack("{s:s, s:o, s:o*}", "name", name, "detail", text(detail), "do",
                            todo != NULL ? text(todo) : NULL);
        return;
    }
    report_more(todo != NULL ? pool_printf("%s; %s", detail, todo) : detail);
}


void
report_result(json_t *all)
{
    own = true;
    json_object_update(object, all);
    json_decref(all);
}


void
report_fact(const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}


/* A copy as programs want it: numbers with at most three decimals, keys without blanks. */
static json_t *
plain(const json_t *value)
{
    json_t     *copy, *member;
    const char *name;
    size_t      i;

    if (json_is_real(value)) {
        return json_real(round(1e3 * json_real_value(value)) / 1e3);
    }
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *) (void *) value, name, member)
        {
            json_object_set_new(copy, pool_replace(name, ' ', '_'), plain(member));
        }
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach((json_t *) (void *) value, i, member)
        {
            json_array_append_new(copy, plain(member));
        }
        return copy;
    }
    return json_deep_copy(value);
}


static void
print(json_t *all, size_t flags)
{
    json_t *clean = plain(all);

    json_dumpf(clean, out, flags | JSON_REAL_PRECISION(15));
    putc('\n', out);
    fflush(out);
    json_decref(clean);
    json_decref(all);
}


void
report_record(json_t *all)
{
    records = true;
    print(all, JSON_COMPACT);
}


void
report_end(int status, const char *unit)
{
    if (records && problem == NULL) {
        return;
    }
    if (unit != NULL && json_object_get(object, "unit") == NULL) {
        json_object_set_new(object, "unit", json_string(unit));
    }
    if (!own && !records) {
        json_object_set_new(object, "done", json_boolean(status == EXIT_OK));
        if (json_array_size(steps) > 0) {
            json_object_set(object, "steps", steps);
        }
    }
    if (status == EXIT_USAGE && problem != NULL) {
        json_object_set_new(problem, "name", json_string("usage"));
    }
    if (problem != NULL) {
        json_object_set(object, "error", problem);
    }
    print(object, records ? JSON_COMPACT : JSON_INDENT(2));
}
