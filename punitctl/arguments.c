#include "punitctl/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "punitctl/nearest.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"

const verb_option_t arguments_general[] = {
    { "json", NULL, "print one JSON object, errors too", NULL },
    { "quiet", NULL, "print nothing but errors", NULL },
    { "help", NULL, "print what the verb does, and its options; so does -h", NULL },
    { NULL, NULL, NULL, NULL },
};


/* The place of an option's value, and *option, or NULL. */
static const char **
find(arguments_t *arguments, const char *name, size_t n, const verb_option_t **option)
{
    const verb_option_t *const tables[] = { arguments->options, arguments_general };
    const char **const         values[] = { arguments->value, arguments->general };

    for (size_t table = 0; table < 2; table++) {
        for (const verb_option_t *known = tables[table]; known->name != NULL; known++) {
            if (strlen(known->name) == n && memcmp(known->name, name, n) == 0) {
                *option = known;
                return &values[table][known - tables[table]];
            }
        }
    }
    return NULL;
}


const char *
arguments_value(const arguments_t *arguments, const char *name)
{
    arguments_t         *all = (arguments_t *) (void *) arguments;
    const verb_option_t *option;
    const char         **value = find(all, name, strlen(name), &option);

    if (value == NULL) {
        abort();
    }
    return *value != NULL ? *value : option->otherwise;
}


bool
arguments_have(int argc, char **argv, const char *a, const char *b)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], a) == 0 || (b != NULL && strcmp(argv[i], b) == 0)) {
            return true;
        }
    }
    return false;
}


static int
refuse_option(const verb_t *verb, const char *word, size_t n)
{
    nearest_t nearest = { .said = pool_copy(word, n) };

    for (const verb_option_t *option = verb->options; option->name != NULL; option++) {
        nearest_offer(&nearest, pool_printf("--%s", option->name));
    }
    for (const verb_option_t *option = arguments_general; option->name != NULL; option++) {
        nearest_offer(&nearest, pool_printf("--%s", option->name));
    }
    if (nearest.word != NULL) {
        output_error("%s has no option %s; did you mean `%s`?", verb->words, nearest.said,
                     nearest.word);
    } else {
        output_error("%s has no option %s; see `punitctl %s --help`", verb->words, nearest.said,
                     verb->words);
    }
    return EXIT_USAGE;
}


/* Reads the option at argv[*at], and the next word if that is its value. */
static int
read_option(arguments_t *arguments, const verb_t *verb, int argc, char **argv, int *at)
{
    const char          *word = argv[*at];
    size_t               n = strcspn(word, "=");
    const verb_option_t *option;
    const char         **value =
        strncmp(word, "--", 2) == 0 ? find(arguments, word + 2, n - 2, &option) : NULL;

    if (value == NULL) {
        return refuse_option(verb, word, n);
    }
    if (option->value == NULL) {
        if (word[n] == '=') {
            output_error("%.*s takes no value", (int) n, word);
            return EXIT_USAGE;
        }
        *value = "";
    } else if (word[n] == '=') {
        *value = word + n + 1;
    } else if (*at + 1 < argc) {
        *value = argv[++*at];
    } else {
        output_error("%s needs a value: %s", word, option->value);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}


int
arguments_read(arguments_t *arguments, const verb_t *verb, int argc, char **argv)
{
    bool options = true;

    memset(arguments, 0, sizeof(*arguments));
    arguments->options = verb->options;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];

        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (options && word[0] == '-' && word[1] != '\0') {
            if (read_option(arguments, verb, argc, argv, &at) != EXIT_OK) {
                return EXIT_USAGE;
            }
            continue;
        }
        if (arguments->operands == verb->most) {
            output_error("%s: %s is one argument too many; it takes: %s", verb->words, word,
                         verb->most > 0 ? verb->operands : "none");
            return EXIT_USAGE;
        }
        arguments->operand[arguments->operands++] = word;
    }
    if (arguments->operands < verb->least) {
        output_error("%s needs: %s", verb->words, verb->operands);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
