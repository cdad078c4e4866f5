#include "punitctl/unit/seed.h"

#include "punitctl/output.h"
#include "punitctl/unit/database.h"


bool
seed_write(PGconn *db)
{
    static const struct {
        const char *statement, *what;
    } seeds[] = {
        { "select sports.seed()", "sports" },
        { "select metrics.seed()", "metric types" },
    };
    bool ok = true;

    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        const char *n = database_value(db, seeds[i].statement, 0, NULL);

        if (n == NULL) {
            ok = false;
        } else {
            output_line("%s: %s new", seeds[i].what, n);
        }
    }
    return ok;
}
