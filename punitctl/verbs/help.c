/*
 * punitctl help: all verbs, those of a group, or one verb with its options.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/catalogue.h"
#include "punitctl/pool.h"
#include "punitctl/verb.h"


static json_t *
describe_options(const verb_option_t *options)
{
    json_t *all = json_array();

    for (; options->name != NULL; options++) {
        json_array_append_new(all, json_pack("{s:s, s:s?, s:s, s:s?}", "name", options->name,
                                             "value", options->value, "help", options->help,
                                             "default", options->otherwise));
    }
    return all;
}


static json_t *
describe(const verb_t *verb)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "verb", verb->words, "operands", verb->operands,
                     "help", verb->help, "superuser", verb->superuser, "options",
                     describe_options(verb->options));
}


static void
print_options(FILE *out, const verb_option_t *options)
{
    for (; options->name != NULL; options++) {
        const char *call =
            pool_printf("--%s %s", options->name, options->value != NULL ? options->value : "");

        fprintf(out, "  %-20s %s%s%s%s\n", call, options->help,
                options->otherwise != NULL ? " (" : "",
                options->otherwise != NULL ? options->otherwise : "",
                options->otherwise != NULL ? ")" : "");
    }
}


/* The verbs of a group, or all of them. */
static void
print_verbs(FILE *out, const char *group)
{
    for (const verb_t *verb = catalogue_verbs(); verb->words != NULL; verb++) {
        const char *call = pool_printf("%s %s", verb->words, verb->operands);

        if (group == NULL || catalogue_member(verb, group) != NULL) {
            fprintf(out, "  %-38s %s\n", call, verb->help);
        }
    }
}


static void
print_all(FILE *out)
{
    fputs("punitctl: the operator's command line of a processing unit\n\n"
          "usage: punitctl VERB [--dir DIR] ...    (punitctl VERB --help)\n\n",
          out);
    print_verbs(out, NULL);
    fputs("\nof every verb:\n", out);
    print_options(out, arguments_general);
    fputs("\nexit: 0 done, 1 failed, 2 misused, 3 something to do (--dry-run)\n", out);
}


static void
print_verb(const verb_t *verb)
{
    printf("punitctl %s%s%s [options]\n\n  %s\n\n", verb->words, *verb->operands != '\0' ? " " : "",
           verb->operands, verb->help);
    if (verb->superuser) {
        puts("  " VERB_SUPERUSER ".\n");
    }
    print_options(stdout, verb->options);
    print_options(stdout, arguments_general);
    if (catalogue_group(verb->words) != NULL) {
        puts("");
        print_verbs(stdout, verb->words);
    }
}


/* What JSON has: the verbs that were asked about. */
static json_t *
describe_verbs(const verb_t *only, const char *group)
{
    json_t *all = json_array();

    for (const verb_t *verb = catalogue_verbs(); verb->words != NULL; verb++) {
        if (only != NULL ? verb == only : group == NULL || catalogue_member(verb, group) != NULL) {
            json_array_append_new(all, describe(verb));
        }
    }
    return json_pack("{s:s, s:o, s:o}", "version", PUNIT_VERSION, "options",
                     describe_options(arguments_general), "verbs", all);
}


/* NULL: nothing was asked, so the list is an error's. */
int
verb_help(const arguments_t *arguments)
{
    char *const  *words = arguments != NULL ? (char *const *) (void *) arguments->operand : NULL;
    int           count = arguments != NULL ? arguments->operands : 0, n;
    const verb_t *verb = count > 0 ? catalogue_find(count, words, &n) : NULL;
    const char   *group = count > 0 && verb == NULL ? words[0] : NULL;

    if (arguments == NULL) {
        print_all(stderr);
        return EXIT_USAGE;
    }
    if (group != NULL && (count > 1 || catalogue_group(group) == NULL)) {
        return catalogue_misuse(count, words);
    }
    output_json(describe_verbs(verb, group));
    if (verb != NULL) {
        print_verb(verb);
    } else if (group != NULL) {
        print_verbs(stdout, group);
    } else {
        print_all(stdout);
    }
    return EXIT_OK;
}
