/*
 * Verbs of the command line: what each is called, takes and does.
 *
 * A verb is a row of the table in main.c; its options are a table too, from
 * which both the parser and --help work.
 */
#ifndef PUNITCTL_VERB_H
#define PUNITCTL_VERB_H

#include <stdbool.h>

#include "punitctl/output.h"

#define VERB_OPERANDS 64
#define VERB_OPTIONS  24

struct verb_option {
    const char *name;  /* without the dashes; NULL ends the table */
    const char *value; /* what --help calls its value; NULL: a flag */
    const char *help;
    const char *otherwise; /* the value when it is not given */
};

struct arguments {
    const struct verb_option *options;
    const char               *value[VERB_OPTIONS]; /* by place in `options` */
    const char               *operand[VERB_OPERANDS];
    int                       operands;
};

struct verb {
    const char               *words;       /* "unit init" */
    const char               *operands;    /* as --help prints them */
    int                       least, most; /* operands */
    const char               *help;
    const struct verb_option *options;
    int (*run)(const struct arguments *arguments); /* an EXIT_ code */
};

/* The value of an option, its default, or NULL; a flag gives "" or NULL.
 * Asking for an option that is not in the verb's table is a broken program. */
const char *argument(const struct arguments *arguments, const char *name);

/* Reads argv[0..argc) by the verb's table. Gives EXIT_OK, or EXIT_USAGE having
 * said why. */
int arguments_read(struct arguments *arguments, const struct verb *verb, int argc, char **argv);

int verb_unit_init(const struct arguments *arguments);
int verb_unit_add(const struct arguments *arguments);
int verb_unit_remove(const struct arguments *arguments);
int verb_schema(const struct arguments *arguments);
int verb_mesh_join(const struct arguments *arguments);
int verb_mesh_status(const struct arguments *arguments);
int verb_mesh_wait(const struct arguments *arguments);
int verb_mesh_resync(const struct arguments *arguments);
int verb_import(const struct arguments *arguments);
int verb_seed(const struct arguments *arguments);
int verb_status(const struct arguments *arguments);
int verb_user(const struct arguments *arguments);
int verb_move(const struct arguments *arguments);
int verb_moves(const struct arguments *arguments);
int verb_cancel(const struct arguments *arguments);
int verb_verify(const struct arguments *arguments);
int verb_drain(const struct arguments *arguments);
int verb_keys_list(const struct arguments *arguments);
int verb_keys_rotate(const struct arguments *arguments);
int verb_keys_sync(const struct arguments *arguments);

#endif
