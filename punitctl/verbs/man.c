/*
 * punitctl man: the source of the manual page punitctl(1), in mdoc(7).
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/catalogue.h"
#include "punitctl/pool.h"
#include "punitctl/verb.h"

#define WIDTH 72

static const char head[] =
    ".Dt PUNITCTL 1\n"
    ".Os \"punit " PUNIT_VERSION "\"\n"
    ".Sh NAME\n"
    ".Nm punitctl\n"
    ".Nd operate a processing unit\n"
    ".Sh SYNOPSIS\n"
    ".Nm\n"
    ".Ar verb\n"
    ".Op Ar operand ...\n"
    ".Op Ar option ...\n"
    ".Sh DESCRIPTION\n"
    "A unit is one installation of NGINX, services, PostgreSQL and memcached.\n"
    ".Nm\n"
    "makes units, makes them known to each other, shows their state, and moves\n"
    "users between them.\n"
    ".Pp\n"
    "Each verb takes these options:\n";

static const char end[] = ".Sh ENVIRONMENT\n"
                          ".Bl -tag -width Ds\n"
                          ".It Ev PUNIT_DIR\n"
                          "The directory of the unit, if\n"
                          ".Fl -dir\n"
                          "is not given.\n"
                          ".It Ev PUNIT_SHARE\n"
                          "The directory of\n"
                          ".Pa sql/ ,\n"
                          ".Pa conf/\n"
                          "and\n"
                          ".Pa workers/ ,\n"
                          "if it is not that of the installation.\n"
                          ".It Ev PUNIT_PG_BIN\n"
                          "The directory of PostgreSQL's programs.\n"
                          ".El\n"
                          ".Sh FILES\n"
                          ".Bl -tag -width Ds\n"
                          ".It Pa /etc/punit\n"
                          "A link to the directory of the machine's unit.\n"
                          ".It Pa unit.env\n"
                          "The settings of a unit, in its directory.\n"
                          "See\n"
                          ".Xr unit.env 5 .\n"
                          ".It Pa schema/\n"
                          "JSON schemas of what the verbs print with\n"
                          ".Fl -json ,\n"
                          "one file a verb, in the shared directory of the installation.\n"
                          ".El\n"
                          ".Sh EXIT STATUS\n"
                          ".Bl -tag -width Ds\n"
                          ".It 0\n"
                          "Done.\n"
                          ".It 1\n"
                          "Failed.\n"
                          "The output says what to do.\n"
                          ".It 2\n"
                          "Misused.\n"
                          ".It 3\n"
                          "There is something to do\n"
                          ".Pq Fl -dry-run .\n"
                          ".It 130\n"
                          "Stopped by Ctrl-C.\n"
                          "What was begun goes on.\n"
                          ".El\n"
                          ".Sh EXAMPLES\n"
                          "The state of a unit, for a program:\n"
                          ".Bd -literal -offset indent\n"
                          "punitctl status --json\n"
                          ".Ed\n"
                          ".Pp\n"
                          "Completion in this shell:\n"
                          ".Bd -literal -offset indent\n"
                          "source <(punitctl completion bash)\n"
                          ".Ed\n"
                          ".Sh SEE ALSO\n"
                          ".Xr unit.env 5 ,\n"
                          ".Xr punit 7\n";


/* Text in lines of their own for each sentence, as mdoc wants it, capital and full stop included.
 */
static char *
sentences(const char *s)
{
    char  *all = "", *rest = pool_printf("%s.", s), *word;
    size_t column = 0;

    rest[0] = (char) toupper((unsigned char) rest[0]);
    while ((word = strsep(&rest, " ")) != NULL) {
        size_t n = strlen(word);
        bool   begins = column == 0 || column + n >= WIDTH;

        all = pool_printf("%s%s%s%s", all,
                          column == 0 ? ""
                          : begins    ? "\n"
                                      : " ",
                          begins && (word[0] == '.' || word[0] == '\'') ? "\\&" : "", word);
        column = begins ? n : column + 1 + n;
        if (n > 0 && word[n - 1] == '.' && rest != NULL) {
            all = pool_printf("%s\n", all);
            column = 0;
        }
    }
    return pool_printf("%s\n", all);
}


static char *
options_page(const verb_option_t *options)
{
    char *all = ".Bl -tag -width Ds\n";

    for (; options->name != NULL; options++) {
        all = pool_printf("%s.It Fl -%s%s%s%s\n%s", all, options->name,
                          options->value != NULL ? " Ar " : "",
                          options->value != NULL ? options->value : "",
                          strcmp(options->name, "help") == 0 ? " , Fl h" : "",
                          sentences(options->help));
        if (options->otherwise != NULL) {
            all = pool_printf("%sThe default is %s.\n", all, options->otherwise);
        }
    }
    return pool_printf("%s.El\n", all);
}


static char *
verb_page(const verb_t *verb)
{
    char *all =
        pool_printf(".Ss \"%s%s%s\\&\"\n%s", verb->words, *verb->operands != '\0' ? " " : "",
                    verb->operands, sentences(verb->help));

    if (verb->superuser) {
        all = pool_printf("%s%s", all, sentences(VERB_SUPERUSER));
    }

    return verb->options->name == NULL ? all
                                       : pool_printf("%s%s", all, options_page(verb->options));
}


int
verb_man(const arguments_t *arguments)
{
    char *all = pool_printf(".Dd %s\n%s%s.Sh VERBS\n", PUNIT_RELEASE_DATE, head,
                            options_page(arguments_general));

    (void) arguments;
    for (const verb_t *verb = catalogue_verbs(); verb->words != NULL; verb++) {
        all = pool_printf("%s%s", all, verb_page(verb));
    }
    output_text("page", pool_printf("%s%s", all, end));
    return EXIT_OK;
}
