#include "punitctl/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The list makes each block reachable to the end: kept, not leaked. */
struct block {
    struct block *next;
    _Alignas(16) char bytes[];
};

static struct block *blocks;


void *
text_space(size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);

    if (block == NULL) {
        fputs("punitctl: out of memory\n", stderr);
        exit(1);
    }
    block->next = blocks;
    blocks = block;
    return block->bytes;
}


char *
text_copy(const char *s, size_t n)
{
    char *copy = text_space(n + 1);

    memcpy(copy, s, n);
    return copy;
}


char *
text(const char *format, ...)
{
    va_list args;
    char   *s, *copy;
    int     n;

    va_start(args, format);
    n = vasprintf(&s, format, args);
    va_end(args);
    copy = text_copy(n >= 0 ? s : "", n >= 0 ? (size_t) n : 0);
    if (n >= 0) {
        free(s);
    }
    return copy;
}


char *
text_replace(const char *s, char from, char to)
{
    char *copy = text("%s", s);

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == from) {
            *c = to;
        }
    }
    return copy;
}
