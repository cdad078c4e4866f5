#include "punitctl/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/arena.h"


static punit_arena_t *
arena(void)
{
    static punit_arena_t *of_run;

    if (of_run == NULL && (of_run = punit_arena_create()) == NULL) {
        fputs("punitctl: out of memory\n", stderr);
        exit(1);
    }
    return of_run;
}


void *
pool_alloc(size_t size)
{
    return punit_arena_alloc(arena(), size);
}


char *
pool_copy(const char *s, size_t n)
{
    return punit_arena_copy_n(arena(), s, n);
}


char *
pool_printf(const char *format, ...)
{
    va_list args;
    char   *s;

    va_start(args, format);
    s = punit_arena_vformat(arena(), format, args);
    va_end(args);
    return s;
}


char *
pool_replace(const char *s, char from, char to)
{
    char *copy = pool_printf("%s", s);

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == from) {
            *c = to;
        }
    }
    return copy;
}
