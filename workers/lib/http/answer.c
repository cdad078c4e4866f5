#include "lib/http/answer.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"


#define ETAG_BYTES 16


const char *
punit_answer_etag(punit_arena_t *arena, const char *body, size_t len)
{
    char hex[2 * ETAG_BYTES + 1];

    if (!punit_digest_hex(hex, ETAG_BYTES, body, len)) {
        return NULL;
    }

    return punit_arena_format(arena, "\"%s\"", hex);
}


bool
punit_answer_etag_matches(const char *list, const char *etag)
{
    size_t len = strlen(etag);

    for (const char *p = list; *p != '\0';) {
        p += strspn(p, " \t,");

        if (*p == '*') {
            return true;
        }

        if (strncmp(p, "W/", 2) == 0) {
            p += 2;
        }

        if (*p != '"') {
            return false;
        }

        const char *end = strchr(p + 1, '"');

        if (end == NULL) {
            return false;
        }

        if ((size_t) (end + 1 - p) == len && memcmp(p, etag, len) == 0) {
            return true;
        }

        p = end + 1;
    }

    return false;
}


void
punit_answer_problem(punit_arena_t *arena, punit_answer_t *a, const punit_problem_t *problem)
{
    a->status = problem->status;
    a->type = "application/problem+json";
    a->body = punit_problem_json(arena, problem);
    a->length = strlen(a->body);
    a->etag = NULL;
    a->location = NULL;
    a->is_stale = false;
}


const char *
punit_answer_head(punit_arena_t *arena, const punit_answer_t *a, const punit_problem_t *problem)
{
    const char *authenticate = problem != NULL ? problem->authenticate : NULL;
    bool        has_length = a->status != 204 && a->status != 304;
    bool        is_challenge = problem != NULL && (a->status == 401 || authenticate != NULL);
    bool        comes_later = problem != NULL && problem->retry_after > 0;

    const struct {
        const char *name, *value;
    } lines[] = {
        { "Status", punit_arena_format(arena, "%d", a->status) },
        { "Content-Type", a->body != NULL ? a->type : NULL },
        { "Content-Length", has_length ? punit_arena_format(arena, "%zu", a->length) : NULL },
        { "ETag", a->etag },
        { "Location", a->location },
        { "Punit-Owner", a->owner_unit != NULL ? punit_arena_format(arena, "%s; epoch=%lld",
                                                                    a->owner_unit, a->owner_epoch)
                                               : NULL },
        { "Punit-Author", a->author },
        { "Punit-Stale", a->is_stale ? punit_arena_format(arena, "%ld", a->stale) : NULL },
        { "Cache-Control", a->no_store ? "no-store" : NULL },
        { "Allow", a->allow },
        { "Retry-After",
          comes_later ? punit_arena_format(arena, "%d", problem->retry_after) : NULL },
        { "WWW-Authenticate", !is_challenge ? NULL
                              : authenticate == NULL
                                  ? "Bearer"
                                  : punit_arena_format(arena, "Bearer %s", authenticate) },
    };
    const size_t n = sizeof(lines) / sizeof(lines[0]);
    size_t       size = sizeof("\r\n");

    for (size_t i = 0; i < n; i++) {
        size += lines[i].value != NULL ? strlen(lines[i].name) + strlen(lines[i].value) + 4 : 0;
    }

    char *head = punit_arena_alloc(arena, size), *p = head;

    for (size_t i = 0; i < n; i++) {
        if (lines[i].value != NULL) {
            p = stpcpy(stpcpy(stpcpy(stpcpy(p, lines[i].name), ": "), lines[i].value), "\r\n");
        }
    }

    stpcpy(p, "\r\n");
    return head;
}
