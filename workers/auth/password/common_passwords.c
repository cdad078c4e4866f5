#include "auth/password/common_passwords.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistd.h>

struct common_passwords {
    char **folded; /* sorted */
    size_t n;
    size_t room;
};


/* The form in which passwords are compared here. NULL: not UTF-8, or no memory. */
static char *
fold(const char *text, size_t len)
{
    size_t   size = 0;
    uint8_t *folded = u8_casefold((const uint8_t *) text, len, NULL, UNINORM_NFC, NULL, &size);
    char    *whole = folded != NULL ? realloc(folded, size + 1) : NULL;

    if (whole == NULL) {
        free(folded);
        return NULL;
    }

    whole[size] = '\0';
    return whole;
}


static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}


static bool
add(common_passwords_t *list, char *folded)
{
    if (list->n == list->room) {
        size_t room = list->room * 2 + 1024;
        char **grown = realloc(list->folded, room * sizeof(*grown));

        if (grown == NULL) {
            free(folded);
            return false;
        }

        list->folded = grown;
        list->room = room;
    }

    list->folded[list->n++] = folded;
    return true;
}


/* Where the program's own list is. */
static bool
find_own(char *path, size_t size)
{
    /* installed; build/bin; build/san/bin */
    static const char *const places[] = { "../share/punit/conf", "../../conf", "../../../conf" };
    char                     exe[PATH_MAX];
    ssize_t                  len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (len <= 0) {
        return false;
    }

    exe[len] = '\0';
    *strrchr(exe, '/') = '\0';

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(path, size, "%s/%s/common-passwords", exe, places[i]);

        if (n > 0 && (size_t) n < size && access(path, R_OK) == 0) {
            return true;
        }
    }

    return false;
}


static bool
read_lines(common_passwords_t *list, FILE *f)
{
    char   *line = NULL;
    size_t  room = 0;
    ssize_t len;
    bool    ok = true;

    while (ok && (len = getline(&line, &room, f)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            len--;
        }

        if (len > 0) {
            char *folded = fold(line, (size_t) len);

            ok = folded != NULL && add(list, folded);
        }
    }

    ok = ok && !ferror(f);
    free(line);
    return ok;
}


common_passwords_t *
common_passwords_load(const char *file, char *error, size_t size)
{
    char own[PATH_MAX + 64];

    if (file == NULL) {
        if (!find_own(own, sizeof(own))) {
            snprintf(error, size, "conf/common-passwords is missing from the installation");
            return NULL;
        }

        file = own;
    }

    FILE *f = fopen(file, "re");

    if (f == NULL) {
        snprintf(error, size, "%s: %s", file, strerror(errno));
        return NULL;
    }

    common_passwords_t *list = calloc(1, sizeof(*list));
    bool                ok = list != NULL && read_lines(list, f);

    fclose(f);

    if (!ok || list->n == 0) {
        snprintf(error, size, "%s: %s", file,
                 ok ? "holds no password" : "not one password of UTF-8 a line");
        common_passwords_free(list);
        return NULL;
    }

    qsort(list->folded, list->n, sizeof(*list->folded), compare);
    return list;
}


bool
common_passwords_has(const common_passwords_t *list, const char *password)
{
    char *folded = fold(password, strlen(password));
    bool  has = folded != NULL
               && bsearch(&folded, list->folded, list->n, sizeof(*list->folded), compare) != NULL;

    if (folded != NULL) {
        sodium_memzero(folded, strlen(folded));
        free(folded);
    }

    return has;
}


void
common_passwords_free(common_passwords_t *list)
{
    if (list == NULL) {
        return;
    }

    for (size_t i = 0; i < list->n; i++) {
        free(list->folded[i]);
    }

    free(list->folded);
    free(list);
}
