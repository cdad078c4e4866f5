/*
 * punitctl schema: brings the unit's database to the schema of this release.
 */
#include "punitctl/unit/schema.h"
#include "punitctl/unit/installation.h"
#include "punitctl/verb.h"


int
verb_schema(const struct arguments *arguments)
{
    const char *directory = argument(arguments, "sql");
    struct unit unit;

    if (directory == NULL) {
        directory = installation_share("sql");
    }
    if (directory == NULL || !unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    return schema_apply(&unit, directory, argument(arguments, "dry-run") != NULL);
}
