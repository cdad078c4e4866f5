#include "lib/pg/rows.h"

#include <stdlib.h>


const char *
punit_rows_text(const PGresult *rows, int row, const char *name)
{
    int column = PQfnumber(rows, name);

    if (column < 0 || row >= PQntuples(rows) || PQgetisnull(rows, row, column)) {
        return NULL;
    }

    return PQgetvalue(rows, row, column);
}


long long
punit_rows_number(const PGresult *rows, int row, const char *name)
{
    const char *text = punit_rows_text(rows, row, name);

    return text != NULL ? strtoll(text, NULL, 10) : 0;
}
