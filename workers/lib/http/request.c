#include "lib/http/request.h"

#include <stdlib.h>
#include <string.h>

#include "lib/http/path.h"


const char *
punit_request_param(const punit_request_t *r, const char *name)
{
    size_t len = strlen(name);

    for (char *const *p = r->params; p != NULL && *p != NULL; p++) {
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=') {
            return (*p)[len + 1] != '\0' ? *p + len + 1 : NULL;
        }
    }

    return NULL;
}


const char *
punit_request_path(const punit_request_t *r, const char *name)
{
    int i = punit_path_placeholder(r->route_path, name);

    return i >= 0 && i < 8 ? r->placeholders[i] : NULL;
}


const char *
punit_request_route(const punit_request_t *r)
{
    return r->route_path != NULL
               ? punit_arena_format(r->arena, "%s %s", r->route_method, r->route_path)
               : "- -";
}


const char *
punit_request_arg(const punit_request_t *r, const char *name)
{
    return punit_query_get(r->query, name);
}


const char *
punit_request_member(const punit_request_t *r, const char *name)
{
    return r->json != NULL ? punit_body_text(r->arena, r->json, name) : NULL;
}


bool
punit_request_has_role(const punit_request_t *r, const char *role)
{
    size_t len = strlen(role);

    for (const char *p = r->roles != NULL ? r->roles : ""; *p != '\0';) {
        size_t n = strcspn(p, " ");

        if (n == len && memcmp(p, role, len) == 0) {
            return true;
        }

        p += n;
        p += strspn(p, " ");
    }

    return false;
}
