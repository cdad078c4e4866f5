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
    a->max_age = 0;
}


/* The status with its reason (RFC 9110 15). Without a reason, NGINX writes a status line that lacks
 * the blank which RFC 9112 4 demands. */
static const char *
status_line(punit_arena_t *arena, int status)
{
    static const struct {
        int         status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return punit_arena_format(arena, "%d %s", status, reasons[i].reason);
        }
    }
    return punit_arena_format(arena, "%d Unknown", status);
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
        { "Status", status_line(arena, a->status) },
        { "Content-Type", a->body != NULL ? a->type : NULL },
        { "Content-Length", has_length ? punit_arena_format(arena, "%zu", a->length) : NULL },
        { "ETag", a->etag },
        { "Location", a->location },
        { "Punit-Owner", a->owner_unit != NULL ? punit_arena_format(arena, "%s; epoch=%lld",
                                                                    a->owner_unit, a->owner_epoch)
                                               : NULL },
        { "Punit-Author", a->author },
        { "Punit-Stale", a->is_stale ? punit_arena_format(arena, "%ld", a->stale) : NULL },
        { "Cache-Control", a->no_store ? "no-store"
                           : a->max_age > 0
                               ? punit_arena_format(arena, "public, max-age=%ld", a->max_age)
                               : NULL },
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
