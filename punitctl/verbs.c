#include "punitctl/verbs.h"

#include <stddef.h>

#include "punitctl/unit/unit.h"
#include "punitctl/verb.h"

/* clang-format off */
#define FORCE_OPTION { "force", NULL, "writes files changed by hand too; keeps FILE.old", NULL }
#define END { NULL, NULL, NULL, NULL }
/* clang-format on */

static const verb_option_t of_unit[] = { UNIT_OPTION, END };
static const verb_option_t of_sync[] = {
    UNIT_OPTION,
    { "over", NULL, "only remove, and take over none", NULL },
    END,
};
static const verb_option_t of_add[] = {
    UNIT_OPTION,
    { "within", "SECONDS", "how long at most", "60" },
    FORCE_OPTION,
    END,
};
static const verb_option_t of_init[] = {
    { "dir", "DIR",
      "where the unit lives, made if absent (else PUNIT_DIR, else " UNIT_DIRECTORY ")", NULL },
    { "new", NULL, "the first unit of a new system, with an authority of its own in DIR/ca", NULL },
    { "invited", "FILE", "a further unit, by an invite of `unit invite`", NULL },
    { "http", "ADDR:PORT", "its public side (127.0.0.1:8100)", NULL },
    { "peer", "ADDR:PORT", "its listener for other units (127.0.0.1:8200)", NULL },
    { "pg", "ADDR:PORT", "its PostgreSQL, for other units (127.0.0.1:8300)", NULL },
    { "admin", "ADDR:PORT", "its admin side, or off (127.0.0.1:8400)", NULL },
    { "https", "ADDR:PORT", "its public side by HTTPS; needs a certificate for clients", NULL },
    { "https-cert", "FILE", "that certificate, with those between it and its authority", NULL },
    { "https-key", "FILE", "its key", NULL },
    { "ca", "DIR", "sign its certificate by this authority; made if absent", NULL },
    { "cert", "FILE", "a certificate instead: CN and DNS name are the id", NULL },
    { "key", "FILE", "its key", NULL },
    { "cacert", "FILE", "certificate of the authority of all units", NULL },
    { "pepper", "FILE", "key of the login names, one for all units; made if absent", NULL },
    FORCE_OPTION,
    END,
};
static const verb_option_t of_invite[] = {
    UNIT_OPTION,
    { "http", "ADDR:PORT", "its public side", NULL },
    { "peer", "ADDR:PORT", "its listener for other units", NULL },
    { "pg", "ADDR:PORT", "its PostgreSQL, for other units", NULL },
    { "out", "FILE", "the invite, a new file (ID.invite)", NULL },
    { "ca", "DIR", "the authority of the units (DIR/ca)", NULL },
    { "days", "N", "how long the invite is good", "7" },
    FORCE_OPTION,
    END,
};
#define CA_OPTION                                                                           \
    {                                                                                       \
        "ca", "DIR", "the authority: ca.pem and ca.key (ca/ of the unit's directory)", NULL \
    }
static const verb_option_t of_ca_init[] = { UNIT_OPTION, CA_OPTION, END };
static const verb_option_t of_ca_unit[] = {
    UNIT_OPTION,
    CA_OPTION,
    { "out", "DIR", "where UNIT.pem and UNIT.key go", "." },
    END,
};
static const verb_option_t of_remove[] = {
    UNIT_OPTION,
    FORCE_OPTION,
    { "stopped", NULL, "UNIT stopped without taking leave and never comes back", NULL },
    { "within", "SECONDS", "longest wait for each step", "60" },
    END,
};
static const verb_option_t of_peer[] = {
    UNIT_OPTION,
    { "down", NULL, "it gets no requests, and its users' reads are answered from copies here",
      NULL },
    { "up", NULL, "it gets requests again", NULL },
    END,
};
static const verb_option_t of_certificates[] = {
    UNIT_OPTION,
    { "reload", NULL, "after files were replaced: NGINX and PostgreSQL read them", NULL },
    END,
};
static const verb_option_t of_schema[] = {
    UNIT_OPTION,
    { "sql", "DIR", "the files (else those installed with punitctl)", NULL },
    { "dry-run", NULL, "says what it would do, and changes nothing; exit code 3 if anything",
      NULL },
    END,
};
static const verb_option_t of_mesh[] = {
    UNIT_OPTION,
    { "within", "SECONDS", "how long at most", "60" },
    END,
};
static const verb_option_t of_move[] = {
    UNIT_OPTION,
    { "to", "UNIT", "the unit that is to own the user", NULL },
    { "wait", NULL, "wait until it owns the user", NULL },
    { "dry-run", NULL, "only print what would be sent, and how long it takes", NULL },
    { "within", "SECONDS", "how long at most", "60" },
    END,
};
static const verb_option_t of_moves[] = {
    UNIT_OPTION,
    { "all", NULL, "finished ones too, the newest 500", NULL },
    { "user", "USER", "those of this user, finished ones too", NULL },
    { "watch", NULL, "print them again each second", NULL },
    END,
};
static const verb_option_t of_verify[] = {
    UNIT_OPTION,
    { "all", NULL, "every user of whom this unit has rows", NULL },
    END,
};
static const verb_option_t of_drain[] = {
    UNIT_OPTION,
    { "to", "UNIT", "the unit that takes all (else all peers in turn)", NULL },
    { "fast", NULL,
      "without rests between moves (PUNIT_DRAIN_SHARE), whatever it costs other users", NULL },
    { "within", "SECONDS", "how long at most; the next drain does what is left", "86400" },
    { "end", NULL, "ends the drain: users may come here again", NULL },
    END,
};

static const verb_option_t of_none[] = { END };

const verb_t verbs[] = {
    { "unit init", "[ID] [PUNIT_NAME=VALUE...]", 0, ARGUMENTS_OPERANDS,
      "makes a unit from nothing, or what is missing of it", of_init, verb_unit_init, true },
    { "unit invite", "UNIT", 1, 1, "writes a file that makes a new machine the unit UNIT",
      of_invite, verb_unit_invite, true },
    { "unit add", "FILE|UNIT", 1, 1,
      "makes the other units of FILE known here (lines: id http listener postgresql), or a UNIT"
      " that was invited elsewhere",
      of_add, verb_unit_add, true },
    { "unit remove", "UNIT", 1, 1,
      "at UNIT, drained: it takes leave; then at each other unit: adopts what it wrote,"
      " removes the rest",
      of_remove, verb_unit_remove, true },
    { "ca init", "", 0, 0, "makes an authority for the certificates of all units", of_ca_init,
      verb_ca_init, false },
    { "ca unit", "UNIT", 1, 1, "makes a key and a certificate for a unit", of_ca_unit, verb_ca_unit,
      false },
    { "schema", "", 0, 0, "brings the database to the schema of this release", of_schema,
      verb_schema, true },
    { "peer", "UNIT", 1, 1, "marks another unit down or up for this unit, or shows its mark",
      of_peer, verb_peer, false },
    { "mesh join", "", 0, 0, "subscribes to all peers and waits for their rows", of_mesh,
      verb_mesh_join, true },
    { "mesh status", "", 0, 0, "subscriptions, slots, lag and errors", of_unit, verb_mesh_status,
      true },
    { "mesh wait", "", 0, 0, "waits until all peers have what is written here", of_mesh,
      verb_mesh_wait, true },
    { "mesh resync", "PEER", 1, 1, "deletes here what PEER authored and copies it again", of_mesh,
      verb_mesh_resync, true },
    { "import", "exercises FILE", 2, 2, "brings in a catalogue with this unit as author", of_unit,
      verb_import, true },
    { "seed", "", 0, 0, "first sports and metric types, at one unit only", of_unit, verb_seed,
      true },
    { "status", "", 0, 0, "what of this unit runs; exit code 1 unless all of it does", of_unit,
      verb_status, true },
    { "doctor", "", 0, 0, "looks for what is wrong or soon will be, and says what to do", of_unit,
      verb_doctor, true },
    { "certificates", "", 0, 0, "certificates of this unit; exit code 1 below 14 days",
      of_certificates, verb_certificates, false },
    { "user grant", "USER ROLE", 2, 2, "gives the user a role: user, coach or editor", of_unit,
      verb_user_grant, true },
    { "user revoke", "USER ROLE", 2, 2, "takes a role from the user, at once", of_unit,
      verb_user_revoke, true },
    { "user", "USER", 1, 1, "state, epoch and version in each unit; USER: id or e-mail address",
      of_unit, verb_user, true },
    { "move", "USER", 1, 1, "asks for a move of the user", of_move, verb_move, true },
    { "moves", "", 0, 0, "moves to this unit", of_moves, verb_moves, true },
    { "cancel", "USER", 1, 1, "ends the user's moves, at whatever step", of_unit, verb_cancel,
      true },
    { "verify", "[USER]", 0, 1,
      "compares count and digest of the rows at all units that hold the same version", of_verify,
      verb_verify, true },
    { "drain", "UNIT", 1, 1, "moves all users away from this unit, which must be UNIT", of_drain,
      verb_drain, false },
    { "keys list", "", 0, 0, "public keys of all units, and the units that hold them", of_unit,
      verb_keys_list, true },
    { "keys rotate", "", 0, 0, "makes a new signing key; uses it once all units hold it", of_unit,
      verb_keys_rotate, true },
    { "keys sync", "", 0, 0, "takes over new keys of other units, removes those that are over",
      of_sync, verb_keys_sync, true },
    { "keys retire", "KID", 1, 1, "ends a key of this unit at once, at every unit", of_mesh,
      verb_keys_retire, true },
    { "help", "[VERB]", 0, 2, "lists the verbs, or the options of one", of_none, verb_help, false },
    { "completion", "bash", 1, 1, "prints the completion of these words for a shell", of_none,
      verb_completion, false },
    { "man", "", 0, 0, "prints the source of the manual page punitctl(1)", of_none, verb_man,
      false },
    { NULL, NULL, 0, 0, NULL, NULL, NULL, false },
};
