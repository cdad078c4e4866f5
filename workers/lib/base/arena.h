/* Arena: the memory of one request, taken piece by piece and given back as a whole. */
#ifndef PUNIT_LIB_BASE_ARENA_H
#define PUNIT_LIB_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct punit_arena punit_arena_t;

/* A new arena, or NULL without memory. */
punit_arena_t *punit_arena_create(void);

/* Runs the cleanups, last registered first, and frees everything. */
void punit_arena_destroy(punit_arena_t *arena);

/* Runs the cleanups and forgets everything, keeping the first block for the next request. */
void punit_arena_reset(punit_arena_t *arena);

/* `size` bytes, zeroed and aligned for any type. Never NULL. Without memory the process logs a line
 * and ends, and the supervisor starts it anew. */
void *punit_arena_alloc(punit_arena_t *arena, size_t size);

/* Copies, always ended by a NUL. */
char *punit_arena_copy(punit_arena_t *arena, const char *text);
char *punit_arena_copy_n(punit_arena_t *arena, const void *bytes, size_t len);

/* As sprintf(3), into memory of the arena. */
char *punit_arena_format(punit_arena_t *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));
char *punit_arena_vformat(punit_arena_t *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0), nonnull(2)));

/* Calls free_object(object) when the arena is reset or destroyed: for what foreign libraries made.
 */
void punit_arena_own(punit_arena_t *arena, void (*free_object)(void *), void *object);

#endif
