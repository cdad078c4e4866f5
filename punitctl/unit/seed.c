#include "punitctl/unit/seed.h"

#include <stdlib.h>

#include "punitctl/output.h"
#include "punitctl/unit/database.h"


bool
seed_write(PGconn *db)
{
    static const struct {
        const char *statement, *what, *fact;
    } seeds[] = {
        { "select sports.seed()", "sports", "sports" },
        { "select metrics.seed()", "metric types", "metric_types" },
    };
    bool ok = true;

    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        const char *n = database_value(db, seeds[i].statement, 0, NULL);

        if (n == NULL) {
            ok = false;
        } else {
            output_fact(seeds[i].fact, json_integer(strtoll(n, NULL, 10)));
            output_line("%s: %s new", seeds[i].what, n);
        }
    }
    return ok;
}
