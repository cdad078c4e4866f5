#include "punitctl/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/text.h"

static const char *about;
static bool        nothing, in_progress;


void
say_about(const char *subject)
{
    about = subject;
}


void
say_nothing(void)
{
    nothing = true;
}


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
say_progress(const char *format, ...)
{
    va_list args;

    if (nothing || !isatty(STDOUT_FILENO)) {
        return;
    }
    end_progress();
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
    in_progress = true;
}


void
say(const char *format, ...)
{
    va_list args;

    if (nothing) {
        return;
    }
    end_progress();
    if (about != NULL) {
        printf("%s: ", about);
    }
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}


int
complain(const char *format, ...)
{
    va_list args;
    char    line[2048];
    size_t  n;

    end_progress();
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    n = strlen(line);
    while (n > 0 && line[n - 1] == '\n') {
        line[--n] = '\0'; /* libpq's messages end with one */
    }
    fprintf(stderr, "punitctl: %s%s%s\n", about != NULL ? about : "", about != NULL ? ": " : "",
            line);
    return EXIT_FAILED;
}


void
say_table(const char *const *cells, size_t rows, size_t columns)
{
    end_progress();
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < columns; column++) {
            const char *cell = cells[row * columns + column];
            size_t      width = 0;

            for (size_t i = 0; i < rows; i++) {
                const char *other = cells[i * columns + column];
                size_t      n = other != NULL ? strlen(other) : 1;

                width = n > width ? n : width;
            }
            if (column + 1 == columns) {
                width = 0;
            }
            printf("%-*s%s", (int) width, cell != NULL ? cell : "-",
                   column + 1 < columns ? "  " : "\n");
        }
    }
    fflush(stdout);
}


const char *
say_value(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value)    ? json_string_value(value)
           : json_is_integer(value) ? text("%lld", (long long) json_integer_value(value))
           : json_is_real(value)    ? text("%.1f", json_real_value(value))
                                    : NULL;
}


void
say_objects(const json_t *objects, const char *const *columns, size_t n)
{
    size_t       count = json_array_size(objects);
    const char **cells = text_space((count + 1) * n * sizeof *cells);

    for (size_t column = 0; column < n; column++) {
        cells[column] = columns[column];
        for (size_t row = 0; row < count; row++) {
            cells[(row + 1) * n + column] =
                say_value(json_array_get(objects, row), columns[column]);
        }
    }
    say_table(cells, count + 1, n);
}
