#include "punitctl/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "punitctl/output.h"


static int
find(const arguments_t *arguments, const char *name, size_t n)
{
    for (int i = 0; arguments->options[i].name != NULL; i++) {
        const char *known = arguments->options[i].name;

        if (strlen(known) == n && memcmp(known, name, n) == 0) {
            return i;
        }
    }
    return -1;
}


const char *
arguments_value(const arguments_t *arguments, const char *name)
{
    int i = find(arguments, name, strlen(name));

    if (i < 0) {
        abort();
    }
    return arguments->value[i] != NULL ? arguments->value[i] : arguments->options[i].otherwise;
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
        if (!options || word[0] != '-' || word[1] == '\0') {
            if (arguments->operands == verb->most) {
                output_error("%s: %s is one argument too many; it takes: %s", verb->words, word,
                             verb->most > 0 ? verb->operands : "none");
                return EXIT_USAGE;
            }
            arguments->operand[arguments->operands++] = word;
            continue;
        }

        size_t n = strcspn(word, "=");
        int    i = strncmp(word, "--", 2) == 0 ? find(arguments, word + 2, n - 2) : -1;

        if (i < 0) {
            output_error("%s has no option %.*s; see punitctl %s --help", verb->words, (int) n,
                         word, verb->words);
            return EXIT_USAGE;
        }
        if (arguments->options[i].value == NULL) {
            if (word[n] == '=') {
                output_error("%.*s takes no value", (int) n, word);
                return EXIT_USAGE;
            }
            arguments->value[i] = "";
        } else if (word[n] == '=') {
            arguments->value[i] = word + n + 1;
        } else if (at + 1 < argc) {
            arguments->value[i] = argv[++at];
        } else {
            output_error("%s needs a value: %s", word, arguments->options[i].value);
            return EXIT_USAGE;
        }
    }
    if (arguments->operands < verb->least) {
        output_error("%s needs: %s", verb->words, verb->operands);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
