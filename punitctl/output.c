#include "punitctl/output.h"

#include <libsmartcols/libsmartcols.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/report.h"

#define SEPARATOR "  "

static const char *about;
static bool        in_progress, quiet;


static void
end_progress(void)
{
    if (in_progress) {
        fputs("\r\033[K", stdout);
        fflush(stdout);
        in_progress = false;
    }
}


void
output_begin(bool json, bool silent)
{
    if (json) {
        report_begin();
    } else if (silent && freopen("/dev/null", "w", stdout) == NULL) {
        output_error("/dev/null: %m");
    }
    quiet = silent;
}


int
output_end(int status)
{
    end_progress();
    if (report_on()) {
        report_end(status, about);
    }
    return status;
}


void
output_about(const char *subject)
{
    about = subject;
}


void
output_progress(const char *format, ...)
{
    va_list args;

    if (report_on() || quiet || !isatty(STDOUT_FILENO)) {
        return;
    }
    end_progress();
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
    in_progress = true;
}


static const char *
text(const char *format, va_list args)
{
    char   line[2048];
    size_t n;

    vsnprintf(line, sizeof(line), format, args);
    n = strlen(line);
    while (n > 0 && line[n - 1] == '\n') {
        line[--n] = '\0'; /* libpq's messages end with a line end. */
    }
    return pool_copy(line, n);
}


void
output_line(const char *format, ...)
{
    const char *line;
    va_list     args;

    va_start(args, format);
    line = text(format, args);
    va_end(args);
    if (report_on()) {
        report_line(line);
        return;
    }
    end_progress();
    printf("%s%s%s\n", about != NULL ? about : "", about != NULL ? ": " : "", line);
    fflush(stdout);
}


/* The length of the detail in a line that `format` made: up to the last "; " of the format, so that
 * one in a value divides nothing. */
static size_t
detail_length(const char *format, va_list args)
{
    const char *end = NULL;

    for (const char *at = strstr(format, "; "); at != NULL; at = strstr(at + 1, "; ")) {
        end = at;
    }
    return end != NULL ? strlen(text(pool_copy(format, (size_t) (end - format)), args)) : SIZE_MAX;
}


static int
problem(const char *name, const char *format, va_list args)
{
    va_list     again;
    const char *line, *todo = NULL;
    size_t      n;

    va_copy(again, args);
    line = text(format, args);
    n = detail_length(format, again);
    va_end(again);
    if (report_on()) {
        if (n < strlen(line)) {
            todo = line + n + strlen("; ");
        }
        report_error(name, todo != NULL ? pool_copy(line, n) : line, todo);
        return EXIT_FAILED;
    }
    end_progress();
    fprintf(stderr, "punitctl: %s%s%s\n", about != NULL ? about : "", about != NULL ? ": " : "",
            line);
    return EXIT_FAILED;
}


int
output_error(const char *format, ...)
{
    va_list args;
    int     status;

    va_start(args, format);
    status = problem("failed", format, args);
    va_end(args);
    return status;
}


int
output_problem(const char *name, const char *format, ...)
{
    va_list args;
    int     status;

    va_start(args, format);
    status = problem(name, format, args);
    va_end(args);
    return status;
}


void
output_more(const char *line)
{
    if (report_on()) {
        report_more(line);
    } else {
        fprintf(stderr, "  %s\n", line);
    }
}


/* The titles alone: libsmartcols prints nothing for a table without rows. */
static void
print_titles(const char *const *titles, size_t columns)
{
    for (size_t column = 0; column < columns; column++) {
        printf("%s%s", titles[column], column + 1 < columns ? SEPARATOR : "\n");
    }
}


static struct libscols_table *
make_table(const char *const *cells, size_t rows, size_t columns)
{
    struct libscols_table *table = scols_new_table();
    bool                   ok =
        table != NULL && scols_table_set_column_separator(table, SEPARATOR) == 0
        && (isatty(STDOUT_FILENO) || scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER) == 0);

    for (size_t column = 0; ok && column < columns; column++) {
        ok = scols_table_new_column(table, cells[column], 0, SCOLS_FL_TRUNC) != NULL;
    }
    for (size_t row = 1; ok && row < rows; row++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);

        for (size_t column = 0; line != NULL && column < columns; column++) {
            const char *cell = cells[row * columns + column];

            ok = ok && scols_line_set_data(line, column, cell != NULL ? cell : "-") == 0;
        }
        ok = ok && line != NULL;
    }
    if (!ok) {
        scols_unref_table(table);
        return NULL;
    }
    return table;
}


void
output_table(const char *const *cells, size_t rows, size_t columns)
{
    struct libscols_table *table;

    end_progress();
    if (rows <= 1) {
        print_titles(cells, columns);
    } else {
        table = make_table(cells, rows, columns);
        if (table == NULL || scols_print_table(table) != 0) {
            output_error("out of memory");
        }
        scols_unref_table(table);
    }
    fflush(stdout);
}


const char *
output_value(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value)    ? json_string_value(value)
           : json_is_integer(value) ? pool_printf("%lld", (long long) json_integer_value(value))
           : json_is_real(value)    ? pool_printf("%.1f", json_real_value(value))
                                    : NULL;
}


void
output_objects(const json_t *objects, const char *const *columns, size_t n)
{
    size_t       count = json_array_size(objects);
    const char **cells = pool_alloc((count + 1) * n * sizeof(*cells));

    for (size_t column = 0; column < n; column++) {
        cells[column] = columns[column];
        for (size_t row = 0; row < count; row++) {
            cells[(row + 1) * n + column] =
                output_value(json_array_get(objects, row), columns[column]);
        }
    }
    output_table(cells, count + 1, n);
}


json_t *
output_words(const char *list)
{
    char       *rest = pool_printf("%s", list != NULL ? list : "");
    const char *word;
    json_t     *all = json_array();

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            json_array_append_new(all, json_string(word));
        }
    }
    return all;
}


double
output_rounded(double number)
{
    return round(1e3 * number) / 1e3;
}


json_t *
output_time(double seconds)
{
    time_t    whole = (time_t) seconds;
    char      text[32];
    struct tm utc;

    if (whole == 0 || gmtime_r(&whole, &utc) == NULL
        || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    {
        return json_null();
    }
    return json_string(text);
}


void
output_json(json_t *value)
{
    if (report_on()) {
        report_result(value);
    } else {
        json_decref(value);
    }
}


void
output_record(json_t *value)
{
    if (report_on()) {
        report_record(value);
    } else {
        json_decref(value);
    }
}


void
output_fact(const char *name, json_t *value)
{
    if (report_on()) {
        report_fact(name, value);
    } else {
        json_decref(value);
    }
}


void
output_text(const char *name, const char *text_of)
{
    output_fact(name, json_string(text_of));
    fputs(text_of, stdout);
    fflush(stdout);
}
