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


static const char *
lower(punit_arena_t *arena, const char *text)
{
    char *copy = punit_arena_copy(arena, text);

    for (char *p = copy; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char) (*p | 0x20);
        }
    }

    return copy;
}


void
punit_request_fill(punit_request_t *r)
{
    const struct {
        const char  *name;
        const char **field;
    } fields[] = {
        { "PUNIT_PATH", &r->path },         { "PUNIT_REQUEST_ID", &r->id },
        { "PUNIT_USER", &r->user },         { "PUNIT_ROLES", &r->roles },
        { "PUNIT_JTI", &r->jti },           { "PUNIT_GEN", &r->gen },
        { "PUNIT_FROM", &r->from },         { "PUNIT_CLIENT", &r->client },
        { "PUNIT_GRID_KEY", &r->grid_key }, { "PUNIT_IF_NONE_MATCH", &r->if_none_match },
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i].field = punit_request_param(r, fields[i].name);
    }

    const char *method = punit_request_param(r, "REQUEST_METHOD");
    const char *epoch = punit_request_param(r, "PUNIT_EPOCH");
    const char *route = punit_request_param(r, "PUNIT_ROUTE");

    r->method = method != NULL ? method : "GET";
    r->head = strcmp(r->method, "HEAD") == 0;
    r->stale = route != NULL && strcmp(route, "stale") == 0;

    if (r->head) {
        r->method = "GET";
    }

    if (epoch != NULL && punit_value_is(PUNIT_INTEGER, epoch, strlen(epoch))) {
        r->epoch = strtoll(epoch, NULL, 10);
    }

    if (r->user != NULL) {
        r->user =
            punit_value_is(PUNIT_UUID, r->user, strlen(r->user)) ? lower(r->arena, r->user) : NULL;
    }
}
