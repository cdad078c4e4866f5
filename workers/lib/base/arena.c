#include "lib/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

#define BLOCK_SIZE ((size_t) 16 * 1024)
#define ALIGN(n)   (((n) + 15) & ~(size_t) 15)

typedef struct block {
    struct block *next;
    size_t        size;
    size_t        used;
    _Alignas(16) unsigned char data[];
} block_t;

typedef struct cleanup {
    struct cleanup *next;
    void (*free_object)(void *);
    void *object;
} cleanup_t;

struct punit_arena {
    block_t   *current;
    block_t   *first;
    cleanup_t *cleanups;
};


static void
out_of_memory(void)
{
    punit_log(PUNIT_LOG_ERROR, "out-of-memory", "action=exit");
    abort();
}


static block_t *
block_create(size_t size)
{
    block_t *b = malloc(sizeof(block_t) + size);

    if (b != NULL) {
        b->next = NULL;
        b->size = size;
        b->used = 0;
    }

    return b;
}


punit_arena_t *
punit_arena_create(void)
{
    punit_arena_t *arena = calloc(1, sizeof(punit_arena_t));

    if (arena == NULL) {
        return NULL;
    }

    arena->first = block_create(BLOCK_SIZE);
    if (arena->first == NULL) {
        free(arena);
        return NULL;
    }

    arena->current = arena->first;
    return arena;
}


void
punit_arena_reset(punit_arena_t *arena)
{
    /* A cleanup may not take memory of the arena: its block is about to go. */
    for (cleanup_t *c = arena->cleanups; c != NULL; c = c->next) {
        c->free_object(c->object);
    }

    arena->cleanups = NULL;

    for (block_t *b = arena->current; b != arena->first;) {
        block_t *older = b->next;

        free(b);
        b = older;
    }

    arena->current = arena->first;
    arena->first->used = 0;
}


void
punit_arena_destroy(punit_arena_t *arena)
{
    if (arena == NULL) {
        return;
    }

    punit_arena_reset(arena);
    free(arena->first);
    free(arena);
}


void *
punit_arena_alloc(punit_arena_t *arena, size_t size)
{
    block_t *b = arena->current;

    if (size > SIZE_MAX / 2) {
        out_of_memory();
    }

    size = ALIGN(size);

    if (b->size - b->used < size) {
        b = block_create(size > BLOCK_SIZE ? size : BLOCK_SIZE);
        if (b == NULL) {
            out_of_memory();
        }

        b->next = arena->current;
        arena->current = b;
    }

    void *p = b->data + b->used;

    b->used += size;
    memset(p, 0, size);
    return p;
}


char *
punit_arena_copy_n(punit_arena_t *arena, const void *bytes, size_t len)
{
    char *p = punit_arena_alloc(arena, len + 1);

    if (len > 0) {
        memcpy(p, bytes, len);
    }

    return p;
}


char *
punit_arena_copy(punit_arena_t *arena, const char *text)
{
    return punit_arena_copy_n(arena, text, strlen(text));
}


char *
punit_arena_vformat(punit_arena_t *arena, const char *format, va_list args)
{
    block_t *b = arena->current;
    char    *p = (char *) b->data + b->used;
    size_t   room = b->size - b->used;
    va_list  again;

    va_copy(again, args);
    int n = vsnprintf(p, room, format, args);

    if (n < 0) {
        out_of_memory();
    }

    /* Mostly there is room. Blocks are a multiple of the alignment, so rounding up stays inside. */
    if ((size_t) n < room) {
        b->used += ALIGN((size_t) n + 1);

    } else {
        p = punit_arena_alloc(arena, (size_t) n + 1);
        vsnprintf(p, (size_t) n + 1, format, again);
    }

    va_end(again);
    return p;
}


char *
punit_arena_format(punit_arena_t *arena, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *p = punit_arena_vformat(arena, format, args);
    va_end(args);

    return p;
}


void
punit_arena_own(punit_arena_t *arena, void (*free_object)(void *), void *object)
{
    cleanup_t *c = punit_arena_alloc(arena, sizeof(cleanup_t));

    c->free_object = free_object;
    c->object = object;
    c->next = arena->cleanups;
    arena->cleanups = c;
}
