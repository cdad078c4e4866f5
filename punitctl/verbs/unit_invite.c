/*
 * punitctl unit invite: writes the invite of a new unit, and makes the unit known here.
 */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

#include "punitctl/mesh/peer_add.h"
#include "punitctl/mesh/peers.h"
#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/authority.h"
#include "punitctl/unit/caller_file.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/invite.h"
#include "punitctl/verb.h"

#define DAYS_MOST 365


/* The addresses of the new unit. False with the reason printed. */
static bool
read_address(const arguments_t *arguments, unit_address_t *unit)
{
    const struct {
        const char  *option;
        const char **value;
    } addresses[] = {
        { "http", &unit->http },
        { "peer", &unit->listener },
        { "pg", &unit->pg },
    };

    unit->id = arguments->operand[0];
    if (!unit_id_check(unit->id)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        const char *value = arguments_value(arguments, addresses[i].option);
        const char *problem = value != NULL ? address_problem(value) : "";

        if (problem != NULL) {
            output_problem("usage", "--%s: expected the address and port of %s%s%s",
                           addresses[i].option, unit->id, *problem != '\0' ? ": " : "", problem);
            return false;
        }
        *addresses[i].value = value;
    }
    return true;
}


/* "2026-12-07T15:40:00Z". NULL with the reason printed. */
static const char *
expiry(const char *days)
{
    char  *end;
    long   n = strtol(days, &end, 10);
    time_t at = time(NULL) + n * 24 * 3600;
    char   stamp[32];

    if (*days == '\0' || *end != '\0' || n < 1 || n > DAYS_MOST) {
        output_error("--days: expected 1 to %d, not \"%s\"", DAYS_MOST, days);
        return NULL;
    }
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime(&at));
    return pool_printf("%s", stamp);
}


/* A random UUID (RFC 9562, version 4). */
static const char *
random_uuid(void)
{
    unsigned char b[16];

    if (RAND_bytes(b, sizeof(b)) != 1) {
        output_error("no random bytes for the invite");
        return NULL;
    }
    b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);
    return pool_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                       b[13], b[14], b[15]);
}


/* The invite as text, once this unit's database has it too. NULL with the reason printed. */
static const char *
make_invite(const unit_t *unit, PGconn *db, invite_t *invite, const authority_t *authority)
{
    const punit_identity_t self = peer_add_identity(unit);
    const char            *pepper =
        file_read(pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE")), NULL);
    const char *introduction = invite_introduction(&invite->unit, authority);
    const char *text;

    invite->from = unit->id;
    invite->number = random_uuid();
    invite->pepper = pepper;
    invite->peers = peers_addresses(unit, db, invite->unit.id, &invite->peer_count);
    if (pepper == NULL || introduction == NULL || invite->number == NULL || invite->peers == NULL
        || !authority_issue(authority, invite->unit.id, &invite->certificate, &invite->key))
    {
        return NULL;
    }
    text = invite_text(invite, authority);
    if (text == NULL
        || !database_run(db, "select punit.invite($1, $2, $3, $4, $5, $6)", 6,
                         (const char *const[]){ invite->unit.id,
                                                peer_add_conninfo(&self, &invite->unit),
                                                invite->unit.listener, invite->number, introduction,
                                                invite->expires }))
    {
        return NULL;
    }
    return text;
}


/* The unit's part: all but the file. NULL with the reason printed. */
static const char *
invite_here(const arguments_t *arguments, invite_t *invite, const authority_t *authority,
            const char *proof)
{
    unit_t      unit;
    PGconn     *db;
    const char *trusted, *text;

    if (!unit_open(&unit, arguments)) {
        return NULL;
    }
    trusted = file_read(unit_setting(&unit, "PUNIT_TLS_CA"), NULL);
    if (trusted == NULL || authority_text(trusted, proof) == NULL) {
        output_problem("certificate",
                       "the authority given is not the one in %s, which the units trust",
                       unit_setting(&unit, "PUNIT_TLS_CA"));
        return NULL;
    }
    db = database_open(&unit, "postgres", NULL);
    text = db != NULL ? make_invite(&unit, db, invite, authority) : NULL;
    if (text != NULL && !peer_add_nginx(&unit, db, NULL)) {
        text = NULL;
    }
    PQfinish(db);
    return text;
}


int
verb_unit_invite(const arguments_t *arguments)
{
    invite_t      invite = { 0 };
    const char   *by, *ca = arguments_value(arguments, "ca"), *file, *text, *proof;
    authority_t   authority;
    caller_file_t writer;

    if (!read_address(arguments, &invite.unit)
        || (invite.expires = expiry(arguments_value(arguments, "days"))) == NULL)
    {
        return EXIT_USAGE;
    }
    if (ca == NULL) {
        ca = pool_printf("%s/ca", unit_directory(arguments, &by));
    }
    file = arguments_value(arguments, "out");
    if (file == NULL) {
        file = pool_printf("%s.invite", invite.unit.id);
    }
    if (!authority_open(&authority, ca)) {
        return output_problem(
            "certificate",
            "an invite needs the authority of the units; its ca.pem and ca.key are in"
            " ca/ of the unit made with --new, or in --ca DIR");
    }
    /* A letter that the units' authority can open proves that this is the one. */
    proof = authority_seal(&authority, invite.unit.id);
    if (proof == NULL || !caller_file_begin(&writer, file)) {
        authority_close(&authority);
        return EXIT_FAILED;
    }
    text = invite_here(arguments, &invite, &authority, proof);
    authority_close(&authority);
    if (!caller_file_end(&writer, text) || text == NULL) {
        return EXIT_FAILED;
    }
    output_fact("file", json_string(file_absolute(file)));
    output_fact("expires", json_string(invite.expires));
    output_fact("invited", json_string(invite.unit.id));
    output_line("peer %s: listener %s, PostgreSQL %s", invite.unit.id, invite.unit.listener,
                invite.unit.pg);
    output_line(
        "wrote %s, good until %s. It holds keys: copy it to the machine of %s, run `punitctl"
        " unit init --invited FILE` there, and remove it",
        file, invite.expires, invite.unit.id);
    output_line("when %s runs: `punitctl mesh join` here", invite.unit.id);
    return EXIT_OK;
}
