/*
 * punitctl: the operator's command line of a processing unit.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/catalogue.h"
#include "punitctl/unit/database.h"
#include "punitctl/verb.h"
#include "punitctl/verbs.h"


/* The words before the first option: what -h and --help ask about. */
static int
help_about(int argc, char **argv)
{
    arguments_t arguments = { .options = arguments_general };

    while (arguments.operands < argc && arguments.operands < 2
           && argv[arguments.operands][0] != '-') {
        arguments.operand[arguments.operands] = argv[arguments.operands];
        arguments.operands++;
    }
    return verb_help(&arguments);
}


static int
run(int argc, char **argv)
{
    arguments_t   arguments;
    const verb_t *verb;
    int           words, status;

    if (argc == 0) {
        return verb_help(NULL);
    }
    if (arguments_have(argc, argv, "-h", "--help")) {
        return help_about(argc, argv);
    }
    verb = catalogue_find(argc, argv, &words);
    if (verb == NULL) {
        return catalogue_misuse(argc, argv);
    }
    database_superuser(verb->superuser);
    status = arguments_read(&arguments, verb, argc - words, argv + words);
    return status == EXIT_OK ? verb->run(&arguments) : status;
}


int
main(int argc, char **argv)
{
    /* Cells of tables are UTF-8, whatever the environment says. */
    setlocale(LC_CTYPE, "C.UTF-8");
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("punitctl " PUNIT_VERSION);
        return EXIT_OK;
    }
    catalogue_set(verbs);
    argc -= argc > 0;
    output_begin(arguments_have(argc, argv + 1, "--json", NULL),
                 arguments_have(argc, argv + 1, "--quiet", NULL));
    return output_end(run(argc, argv + 1));
}
