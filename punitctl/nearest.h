/*
 * The known word that a mistyped word was meant to be.
 */
#ifndef PUNITCTL_NEAREST_H
#define PUNITCTL_NEAREST_H

#include <stddef.h>

typedef struct {
    const char *said;
    const char *word; /* the nearest of those offered; NULL: none is near */
    size_t      distance;
} nearest_t;

/* Offers a known word. It becomes `word` if it is near and nearer than those before. A word is near
 * if at most a third of its letters must be changed, added, removed or swapped with the next one.
 */
void nearest_offer(nearest_t *nearest, const char *known);

#endif
