/*
 * punitctl: the operator's command line of a processing unit.
 */
#include <stdio.h>
#include <string.h>

#include "punitctl/text.h"
#include "punitctl/unit/unit.h"
#include "punitctl/verb.h"

#define JSON_OPTION                      \
    {                                    \
        "json", NULL, "print JSON", NULL \
    }
#define END                    \
    {                          \
        NULL, NULL, NULL, NULL \
    }

static const struct verb_option of_unit[] = { UNIT_OPTION, END };
static const struct verb_option of_unit_json[] = { UNIT_OPTION, JSON_OPTION, END };
static const struct verb_option of_init[] = {
    { "dir", "DIR", "where the unit lives; made if absent", NULL },
    { "http", "ADDR:PORT", "its public side (127.0.0.1:8100)", NULL },
    { "peer", "ADDR:PORT", "its listener for other units (127.0.0.1:8200)", NULL },
    { "pg", "ADDR:PORT", "its PostgreSQL, for other units (127.0.0.1:8300)", NULL },
    { "ca", "DIR", "sign its certificate by this authority; made if absent", NULL },
    { "cert", "FILE", "a certificate instead: CN and DNS name are the id", NULL },
    { "key", "FILE", "its key", NULL },
    { "cacert", "FILE", "certificate of the authority of all units", NULL },
    { "pepper", "FILE",
      "key of the login names, one for all units; made if"
      " absent",
      NULL },
    END,
};
static const struct verb_option of_remove[] = {
    UNIT_OPTION,
    JSON_OPTION,
    { "stopped", NULL, "UNIT went without taking leave and never comes back", NULL },
    { "within", "SECONDS", "how long at most for each thing waited for", "60" },
    END,
};
static const struct verb_option of_schema[] = {
    UNIT_OPTION,
    { "sql", "DIR", "the files (else those installed with punitctl)", NULL },
    { "dry-run", NULL, "says what it would do, and changes nothing; exit code 3 if anything",
      NULL },
    END,
};
static const struct verb_option of_mesh[] = {
    UNIT_OPTION,
    { "within", "SECONDS", "how long at most", "60" },
    END,
};
static const struct verb_option of_resync[] = {
    UNIT_OPTION,
    JSON_OPTION,
    { "within", "SECONDS", "how long at most", "60" },
    END,
};
static const struct verb_option of_move[] = {
    UNIT_OPTION,
    { "to", "UNIT", "who is to own the user", NULL },
    { "wait", NULL, "wait until that is so", NULL },
    { "dry-run", NULL, "only say what would be sent, and how long it takes", NULL },
    JSON_OPTION,
    { "within", "SECONDS", "how long at most", "60" },
    END,
};
static const struct verb_option of_moves[] = {
    UNIT_OPTION,
    JSON_OPTION,
    { "all", NULL, "finished ones too, the newest 500", NULL },
    { "user", "USER", "those of this user, finished ones too", NULL },
    { "watch", NULL, "print them again each second", NULL },
    END,
};
static const struct verb_option of_verify[] = {
    UNIT_OPTION,
    JSON_OPTION,
    { "all", NULL, "every user of whom this unit has rows", NULL },
    END,
};
static const struct verb_option of_drain[] = {
    UNIT_OPTION,
    JSON_OPTION,
    { "to", "UNIT", "the unit that takes all (else all peers in turn)", NULL },
    { "fast", NULL,
      "without rests between moves (PUNIT_DRAIN_SHARE), whatever"
      " it costs everybody else",
      NULL },
    { "within", "SECONDS",
      "how long at most; what is left is done by the next"
      " drain",
      "86400" },
    { "end", NULL, "no drain any more: users may come here again", NULL },
    END,
};

static const struct verb verbs[] = {
    { "unit init", "ID [PUNIT_NAME=VALUE...]", 1, VERB_OPERANDS,
      "makes a unit from nothing, or what is missing of it", of_init, verb_unit_init },
    { "unit add", "FILE", 1, 1,
      "makes the other units of FILE known here (lines: id http listener"
      " postgresql)",
      of_unit, verb_unit_add },
    { "unit remove", "UNIT", 1, 1,
      "at UNIT, drained: it takes leave; then at each other unit: what it wrote"
      " is adopted, the rest goes",
      of_remove, verb_unit_remove },
    { "schema", "", 0, 0, "brings the database to the schema of this release", of_schema,
      verb_schema },
    { "mesh join", "", 0, 0, "subscribes to all peers and waits for their rows", of_mesh,
      verb_mesh_join },
    { "mesh status", "", 0, 0, "subscriptions, slots, lag and errors", of_unit_json,
      verb_mesh_status },
    { "mesh wait", "", 0, 0, "waits until all peers have what is written here", of_mesh,
      verb_mesh_wait },
    { "mesh resync", "PEER", 1, 1, "deletes here what PEER authored and copies it again", of_resync,
      verb_mesh_resync },
    { "import", "exercises FILE", 2, 2, "brings in a catalogue with this unit as author", of_unit,
      verb_import },
    { "seed", "", 0, 0, "first sports and metric types, at one unit only", of_unit, verb_seed },
    { "status", "", 0, 0, "what of this unit runs; exit code 1 if not all", of_unit_json,
      verb_status },
    { "user", "USER", 1, 1, "state, epoch and version in each unit; USER: id or e-mail address",
      of_unit_json, verb_user },
    { "move", "USER", 1, 1, "asks for a move of the user", of_move, verb_move },
    { "moves", "", 0, 0, "moves to this unit", of_moves, verb_moves },
    { "cancel", "USER", 1, 1, "ends the user's moves, at whatever step", of_unit_json,
      verb_cancel },
    { "verify", "[USER]", 0, 1,
      "compares count and digest of the rows at all units that hold the same"
      " version",
      of_verify, verb_verify },
    { "drain", "UNIT", 1, 1, "moves all users away from this unit, which must be UNIT", of_drain,
      verb_drain },
    { "keys list", "", 0, 0, "public keys of all units and who holds them", of_unit,
      verb_keys_list },
    { "keys rotate", "", 0, 0, "makes a new signing key; uses it once all units hold it", of_unit,
      verb_keys_rotate },
    { "keys sync", "", 0, 0, "takes over new keys of other units", of_unit, verb_keys_sync },
};


static void
print_verbs(FILE *out)
{
    fputs("punitctl: the operator's command line of a processing unit\n\n"
          "usage: punitctl VERB [--dir DIR] ...    (punitctl VERB --help)\n\n",
          out);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const char *call = text("%s %s", verbs[i].words, verbs[i].operands);

        fprintf(out, "  %-38s %s\n", call, verbs[i].help);
    }
    fputs("\nThe unit is --dir's, or the one whose unit.env is in the"
          " environment.\nexit: 0 done, 1 failed, 2 misused, 3 something to do (--dry-run)\n",
          out);
}


static void
print_verb(const struct verb *verb)
{
    printf("punitctl %s%s%s [options]\n\n  %s\n\n", verb->words, *verb->operands != '\0' ? " " : "",
           verb->operands, verb->help);
    for (const struct verb_option *option = verb->options; option->name != NULL; option++) {
        const char *call =
            text("--%s %s", option->name, option->value != NULL ? option->value : "");

        printf("  %-20s %s%s%s%s\n", call, option->help, option->otherwise != NULL ? " (" : "",
               option->otherwise != NULL ? option->otherwise : "",
               option->otherwise != NULL ? ")" : "");
    }
}


/* The verb that the first words are, and how many words that is. */
static const struct verb *
find_verb(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const char *blank = strchr(verbs[i].words, ' ');
        const char *said = argv[0];

        *words = blank != NULL ? 2 : 1;
        if (argc < *words) {
            continue;
        }
        if (blank != NULL) {
            said = text("%s %s", argv[0], argv[1]);
        }
        if (strcmp(said, verbs[i].words) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}


int
main(int argc, char **argv)
{
    struct arguments   arguments;
    const struct verb *verb;
    int                words, status;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_verbs(stdout);
        return EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("punitctl " PUNIT_VERSION);
        return EXIT_OK;
    }
    verb = argc >= 2 ? find_verb(argc - 1, argv + 1, &words) : NULL;
    if (verb == NULL) {
        if (argc >= 2) {
            complain("there is no verb \"%s%s%s\"", argv[1], argc >= 3 ? " " : "",
                     argc >= 3 ? argv[2] : "");
        }
        print_verbs(stderr);
        return EXIT_USAGE;
    }
    for (int i = 1 + words; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_verb(verb);
            return EXIT_OK;
        }
    }
    status = arguments_read(&arguments, verb, argc - 1 - words, argv + 1 + words);
    return status == EXIT_OK ? verb->run(&arguments) : status;
}
