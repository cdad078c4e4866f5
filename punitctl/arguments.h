/*
 * The command line of one verb: its options and operands.
 */
#ifndef PUNITCTL_ARGUMENTS_H
#define PUNITCTL_ARGUMENTS_H

#include <stdbool.h>

#include "punitctl/output.h"

#define ARGUMENTS_OPERANDS 64
#define ARGUMENTS_OPTIONS  24

typedef struct {
    const char *name;  /* without the dashes; NULL ends the table */
    const char *value; /* what --help calls its value; NULL: a flag */
    const char *help;
    const char *otherwise; /* the default value */
} verb_option_t;

typedef struct {
    const verb_option_t *options;
    const char          *value[ARGUMENTS_OPTIONS]; /* by place in `options` */
    const char          *general[ARGUMENTS_OPTIONS];
    const char          *operand[ARGUMENTS_OPERANDS];
    int                  operands;
} arguments_t;

typedef struct {
    const char          *words;       /* "unit init" */
    const char          *operands;    /* as --help prints them */
    int                  least, most; /* number of operands */
    const char          *help;
    const verb_option_t *options;
    int (*run)(const arguments_t *arguments); /* returns an EXIT_ code */
    bool superuser;                           /* may it be that of the unit's database? */
} verb_t;

/* The options that every verb has. --help stands for -h too. */
extern const verb_option_t arguments_general[];

/* The value of an option, its default, or NULL. A flag gives "" or NULL. Asking for an option that
 * is neither general nor in the verb's table aborts. */
const char *arguments_value(const arguments_t *arguments, const char *name);

/* True if argv[0..argc), before a "--", has one of these words. `b` may be NULL. */
bool arguments_have(int argc, char **argv, const char *a, const char *b);

/* Reads argv[0..argc) by the verb's table. Returns EXIT_OK, or EXIT_USAGE with the reason printed.
 */
int arguments_read(arguments_t *arguments, const verb_t *verb, int argc, char **argv);

#endif
