#include "punitctl/unit/units_file.h"

#include <stdlib.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

#define UNITS_MOST 256
#define FIELDS     4


static bool
read_line(unit_address_t *unit, char *line, const char *path, int number)
{
    const char *field[FIELDS];
    size_t      n = 0;
    char       *word;

    while ((word = strsep(&line, " \t\r")) != NULL) {
        if (*word == '\0') {
            continue;
        }
        if (n == FIELDS) {
            n++;
            break;
        }
        field[n++] = word;
    }
    if (n != FIELDS) {
        output_problem("bad-file",
                       "%s line %d: expected id, http, peer listener and PostgreSQL"
                       " address",
                       path, number);
        return false;
    }
    if (!unit_id_valid(field[0])) {
        output_problem("bad-file", "%s line %d: a unit's id is [a-z0-9-]{1,32}, not \"%s\"", path,
                       number, field[0]);
        return false;
    }
    for (size_t i = 1; i < FIELDS; i++) {
        const char *problem = address_problem(field[i]);

        if (problem != NULL) {
            output_problem("bad-file", "%s line %d: %s", path, number, problem);
            return false;
        }
    }
    *unit = (unit_address_t){ field[0], field[1], field[2], field[3] };
    return true;
}


unit_address_t *
units_file_read(const char *path, size_t *count)
{
    unit_address_t *units = pool_alloc(UNITS_MOST * sizeof(*units));
    char           *rest = file_read(path, NULL);
    int             number = 0;
    char           *line;

    *count = 0;
    if (rest == NULL) {
        return NULL;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        number++;
        line[strcspn(line, "#")] = '\0';
        if (line[strspn(line, " \t\r")] == '\0') {
            continue;
        }
        if (*count == UNITS_MOST) {
            output_problem("bad-file", "%s: more than %d units", path, UNITS_MOST);
            return NULL;
        }
        if (!read_line(&units[*count], line, path, number)) {
            return NULL;
        }
        for (size_t i = 0; i < *count; i++) {
            if (strcmp(units[i].id, units[*count].id) == 0) {
                output_problem("bad-file", "%s line %d: unit %s is there twice", path, number,
                               units[i].id);
                return NULL;
            }
        }
        (*count)++;
    }
    return units;
}
