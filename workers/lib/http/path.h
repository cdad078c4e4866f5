/* Path: a request's path against the pattern of a route, "/activities/{id:uuid}". */
#ifndef PUNIT_LIB_HTTP_PATH_H
#define PUNIT_LIB_HTTP_PATH_H

#include <stdbool.h>

#include "lib/base/arena.h"

/* Whether path matches pattern. Gives the placeholders' values in order. */
bool punit_path_match(punit_arena_t *arena, const char *pattern, const char *path,
                      const char *placeholders[8]);

/* The position of a placeholder in a pattern, -1 when there is none of that name. */
int punit_path_placeholder(const char *pattern, const char *name);

#endif
