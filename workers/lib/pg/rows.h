/* Rows: columns of a result, by name. */
#ifndef PUNIT_LIB_PG_ROWS_H
#define PUNIT_LIB_PG_ROWS_H

#include <libpq-fe.h>

/* A column's text. NULL when the value is null, or there is no such row or column. */
const char *punit_rows_text(const PGresult *rows, int row, const char *name);

/* The same as a whole number. 0 where the text is NULL. */
long long punit_rows_number(const PGresult *rows, int row, const char *name);

#endif
