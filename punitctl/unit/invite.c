#include "punitctl/unit/invite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

#define INVITE_VERSION    1
#define INVITE_KIND       "invite"
#define INTRODUCTION_KIND "introduction"


static json_t *
address_json(const unit_address_t *unit)
{
    return json_pack("{s:s, s:s*, s:s, s:s}", "id", unit->id, "http", unit->http, "peer",
                     unit->listener, "pg", unit->pg);
}


static bool
address_read(json_t *json, unit_address_t *unit)
{
    memset(unit, 0, sizeof(*unit));
    return json_unpack(json, "{s:s, s?s, s:s, s:s}", "id", &unit->id, "http", &unit->http, "peer",
                       &unit->listener, "pg", &unit->pg)
               == 0
           && unit_id_valid(unit->id) && address_problem(unit->listener) == NULL
           && address_problem(unit->pg) == NULL
           && (unit->http == NULL || address_problem(unit->http) == NULL);
}


/* Signs the JSON, which is released. */
static const char *
seal(const authority_t *authority, json_t *json)
{
    char       *text = json_dumps(json, JSON_INDENT(2));
    const char *letter = text != NULL ? authority_seal(authority, text) : NULL;

    free(text);
    json_decref(json);
    return letter;
}


/* The JSON of a letter of that kind. NULL: it is another text. */
static json_t *
letter_json(const char *text, const char *kind)
{
    json_t     *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *is = NULL;
    int         version = 0;

    if (json_unpack(json, "{s:s, s:i}", "kind", &is, "version", &version) != 0
        || strcmp(is, kind) != 0 || version != INVITE_VERSION)
    {
        json_decref(json);
        return NULL;
    }
    return json;
}


const char *
invite_text(const invite_t *invite, const authority_t *authority)
{
    json_t     *units = json_array();
    const char *letter;

    for (size_t i = 0; i < invite->peer_count; i++) {
        json_array_append_new(units, address_json(&invite->peers[i]));
    }
    letter = seal(authority, json_pack("{s:s, s:i, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "kind",
                                       INVITE_KIND, "version", INVITE_VERSION, "unit",
                                       address_json(&invite->unit), "from", invite->from, "number",
                                       invite->number, "expires", invite->expires, "certificate",
                                       invite->certificate, "key", invite->key, "pepper",
                                       invite->pepper, "units", units));
    if (letter == NULL) {
        return NULL;
    }
    return pool_printf("The invite of unit %s, made at unit %s, good until %s.\n"
                       "It holds the keys of %s. At the machine of %s, run\n"
                       "    punitctl unit init --invited FILE\n"
                       "and remove this file, there and here.\n\n%s%s",
                       invite->unit.id, invite->from, invite->expires, invite->unit.id,
                       invite->unit.id, authority->certificate, letter);
}


/* The members of the letter. False: one is missing or malformed. The JSON keeps the strings, so it
 * stays until the end of the run. */
static bool
read_letter(json_t *json, invite_t *invite)
{
    json_t         *unit, *units;
    unit_address_t *peers;

    if (json_unpack(json, "{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "unit", &unit, "from",
                    &invite->from, "number", &invite->number, "expires", &invite->expires,
                    "certificate", &invite->certificate, "key", &invite->key, "pepper",
                    &invite->pepper, "units", &units)
            != 0
        || !address_read(unit, &invite->unit) || invite->unit.http == NULL)
    {
        return false;
    }
    peers = pool_alloc((json_array_size(units) + 1) * sizeof(*peers));
    invite->peer_count = json_array_size(units);
    for (size_t i = 0; i < invite->peer_count; i++) {
        if (!address_read(json_array_get(units, i), &peers[i])) {
            return false;
        }
    }
    invite->peers = peers;
    return invite_from(invite) != NULL;
}


bool
invite_read(const char *path, invite_t *invite)
{
    const char *content = file_read(path, NULL);
    const char *letter = content != NULL ? strstr(content, "-----BEGIN CMS-----") : NULL;
    const char *text;
    time_t      now = time(NULL);
    char        stamp[32];
    json_t     *json;

    memset(invite, 0, sizeof(*invite));
    if (content == NULL) {
        return false;
    }
    if (letter == NULL) {
        output_problem("bad-file", "%s is no invite of a unit", path);
        return false;
    }
    invite->authority = pool_copy(content, (size_t) (letter - content));
    text = authority_text(invite->authority, letter);
    if (text == NULL) {
        output_problem("bad-file",
                       "%s was changed after it was written, or is cut off: the signature of its"
                       " authority does not fit; ask for another",
                       path);
        return false;
    }
    json = letter_json(text, INVITE_KIND);
    if (json == NULL || !read_letter(json, invite)) {
        output_problem("bad-file", "%s is no invite that this release of punitctl reads", path);
        json_decref(json);
        return false;
    }
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    if (strcmp(stamp, invite->expires) > 0) {
        output_problem("too-late",
                       "%s expired at %s; ask for another: `punitctl unit invite %s` at %s", path,
                       invite->expires, invite->unit.id, invite->from);
        return false;
    }
    invite->authority = strstr(invite->authority, "-----BEGIN");
    return true;
}


const unit_address_t *
invite_from(const invite_t *invite)
{
    for (size_t i = 0; i < invite->peer_count; i++) {
        if (strcmp(invite->peers[i].id, invite->from) == 0) {
            return &invite->peers[i];
        }
    }
    return NULL;
}


const char *
invite_introduction(const unit_address_t *unit, const authority_t *authority)
{
    return seal(authority, json_pack("{s:s, s:i, s:o}", "kind", INTRODUCTION_KIND, "version",
                                     INVITE_VERSION, "unit", address_json(unit)));
}


bool
invite_introduced(const char *letter, const char *certificates, const char *id,
                  unit_address_t *unit)
{
    const char *text = authority_text(certificates, letter);
    json_t     *json = text != NULL ? letter_json(text, INTRODUCTION_KIND) : NULL;

    /* The JSON keeps the strings. */
    return json != NULL && address_read(json_object_get(json, "unit"), unit)
           && strcmp(unit->id, id) == 0;
}
