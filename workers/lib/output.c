#include "lib/output.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>


#define ETAG_BYTES  16


const char *
punit_etag(punit_arena_t *arena, const char *body, size_t len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char          hex[2 * ETAG_BYTES + 1];

    if (EVP_Digest(body, len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return NULL;
    }

    for (int i = 0; i < ETAG_BYTES; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }

    hex[2 * ETAG_BYTES] = '\0';
    return punit_format(arena, "\"%s\"", hex);
}


bool
punit_etag_matches(const char *list, const char *etag)
{
    size_t len = strlen(etag);

    for (const char *p = list; *p != '\0'; ) {
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
    a->status = problem->kind->status;
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
    const char *head = punit_format(arena, "Status: %d\r\n", a->status);

    if (a->body != NULL) {
        head = punit_format(arena, "%sContent-Type: %s\r\n", head, a->type);
    }

    if (a->status != 204 && a->status != 304) {
        head = punit_format(arena, "%sContent-Length: %zu\r\n", head, a->length);
    }

    if (a->etag != NULL) {
        head = punit_format(arena, "%sETag: %s\r\n", head, a->etag);
    }

    if (a->location != NULL) {
        head = punit_format(arena, "%sLocation: %s\r\n", head, a->location);
    }

    if (a->owner_unit != NULL) {
        head = punit_format(arena, "%sPunit-Owner: %s; epoch=%lld\r\n", head, a->owner_unit, a->owner_epoch);
    }

    if (a->author != NULL) {
        head = punit_format(arena, "%sPunit-Author: %s\r\n", head, a->author);
    }

    if (a->is_stale) {
        head = punit_format(arena, "%sPunit-Stale: %ld\r\n", head, a->stale);
    }

    if (a->no_store) {
        head = punit_format(arena, "%sCache-Control: no-store\r\n", head);
    }

    if (a->allow != NULL) {
        head = punit_format(arena, "%sAllow: %s\r\n", head, a->allow);
    }

    if (problem != NULL && problem->retry_after > 0) {
        head = punit_format(arena, "%sRetry-After: %d\r\n", head, problem->retry_after);
    }

    if (problem != NULL && (a->status == 401 || problem->authenticate != NULL)) {
        head = punit_format(arena, "%sWWW-Authenticate: Bearer%s%s\r\n", head,
                            problem->authenticate != NULL ? " " : "",
                            problem->authenticate != NULL ? problem->authenticate : "");
    }

    return punit_format(arena, "%s\r\n", head);
}
