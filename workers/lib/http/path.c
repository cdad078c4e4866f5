#include "lib/http/path.h"

#include <string.h>

#include "lib/http/value.h"

static const struct {
    const char        *name;
    punit_value_type_t type;
} placeholder_types[] = {
    { "uuid", PUNIT_UUID },
    { "integer", PUNIT_INTEGER },
    { "string", PUNIT_STRING },
};


/* The type behind the colon of "{name:type}". */
static punit_value_type_t
placeholder_type(const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    size_t      n = colon != NULL ? len - (size_t) (colon - text) - 2 : 0;

    for (size_t i = 0; i < sizeof(placeholder_types) / sizeof(placeholder_types[0]); i++) {
        if (strlen(placeholder_types[i].name) == n
            && memcmp(placeholder_types[i].name, colon + 1, n) == 0) {
            return placeholder_types[i].type;
        }
    }

    return PUNIT_STRING;
}


bool
punit_path_match(punit_arena_t *arena, const char *pattern, const char *path,
                 const char *placeholders[8])
{
    int n = 0;

    while (*pattern == '/' && *path == '/') {
        size_t plen = strcspn(++pattern, "/"), len = strcspn(++path, "/");

        if (*pattern == '{') {
            if (len == 0 || n == 8 || !punit_value_is(placeholder_type(pattern, plen), path, len)) {
                return false;
            }

            placeholders[n++] = punit_arena_copy_n(arena, path, len);

        } else if (plen != len || memcmp(pattern, path, len) != 0) {
            return false;
        }

        pattern += plen;
        path += len;
    }

    return *pattern == '\0' && *path == '\0';
}


int
punit_path_placeholder(const char *pattern, const char *name)
{
    size_t len = strlen(name);
    int    n = 0;

    for (const char *p = pattern; (p = strchr(p, '{')) != NULL; n++) {
        p++;
        if (strncmp(p, name, len) == 0 && (p[len] == ':' || p[len] == '}')) {
            return n;
        }
    }

    return -1;
}
