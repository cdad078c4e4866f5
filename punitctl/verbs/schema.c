/*
 * punitctl schema: brings the unit's database to the schema of this release.
 */
#include "punitctl/unit/schema.h"
#include "punitctl/unit/installation.h"
#include "punitctl/verb.h"


int
verb_schema(const arguments_t *arguments)
{
    const char *directory = arguments_value(arguments, "sql");
    unit_t      unit;

    if (directory == NULL) {
        directory = installation_share("sql");
    }
    if (directory == NULL || !unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    return schema_apply(&unit, directory, arguments_value(arguments, "dry-run") != NULL);
}
