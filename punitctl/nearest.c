#include "punitctl/nearest.h"

#include <string.h>

#define LONGEST 48


static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}


/* The optimal string alignment distance: as Levenshtein's, and two letters that changed places
 * count once. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t d[LONGEST + 1][LONGEST + 1];

    for (size_t i = 0; i <= na; i++) {
        d[i][0] = i;
    }
    for (size_t j = 0; j <= nb; j++) {
        d[0][j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[na][nb];
}


void
nearest_offer(nearest_t *nearest, const char *known)
{
    size_t said = strlen(nearest->said), n = strlen(known), far;

    if (said > LONGEST || n > LONGEST) {
        return;
    }
    far = distance(nearest->said, said, known, n);
    if (far <= (n + 2) / 3 && far < n && (nearest->word == NULL || far < nearest->distance)) {
        nearest->word = known;
        nearest->distance = far;
    }
}
