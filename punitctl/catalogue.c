#include "punitctl/catalogue.h"

#include <string.h>

#include "punitctl/nearest.h"
#include "punitctl/pool.h"

static const verb_t *table;


void
catalogue_set(const verb_t *verbs)
{
    table = verbs;
}


const verb_t *
catalogue_verbs(void)
{
    return table;
}


static const verb_t *
find(const char *words)
{
    for (const verb_t *verb = table; verb->words != NULL; verb++) {
        if (strcmp(verb->words, words) == 0) {
            return verb;
        }
    }
    return NULL;
}


const verb_t *
catalogue_find(int argc, char *const *argv, int *words)
{
    const verb_t *verb = NULL;

    *words = 2;
    if (argc >= 2) {
        verb = find(pool_printf("%s %s", argv[0], argv[1]));
    }
    if (verb == NULL && argc >= 1 && strchr(argv[0], ' ') == NULL) {
        *words = 1;
        verb = find(argv[0]);
    }
    return verb;
}


const char *
catalogue_member(const verb_t *verb, const char *group)
{
    size_t n = strlen(group);

    return strncmp(verb->words, group, n) == 0 && verb->words[n] == ' ' ? verb->words + n + 1
                                                                        : NULL;
}


const char *
catalogue_group(const char *name)
{
    const char *all = NULL;

    for (const verb_t *verb = table; verb->words != NULL; verb++) {
        const char *member = catalogue_member(verb, name);

        if (member != NULL) {
            all = pool_printf("%s%s%s", all != NULL ? all : "", all != NULL ? ", " : "", member);
        }
    }
    return all;
}


int
catalogue_misuse(int argc, char *const *argv)
{
    const char *group = catalogue_group(argv[0]);
    bool        two = argc >= 2 && argv[1][0] != '-';
    nearest_t   one_word = { .said = argv[0] };
    nearest_t   two_words = { .said = two ? pool_printf("%s %s", argv[0], argv[1]) : "" };

    if (argv[0][0] == '-') {
        output_error("the verb comes first, before %s; `punitctl help` lists the verbs", argv[0]);
        return EXIT_USAGE;
    }
    if (group != NULL && !two) {
        output_error("%s is no verb by itself; %s: %s", argv[0], argv[0], group);
        return EXIT_USAGE;
    }
    if (group != NULL) {
        output_error("there is no verb %s; %s: %s", two_words.said, argv[0], group);
        return EXIT_USAGE;
    }
    for (const verb_t *verb = table; verb->words != NULL; verb++) {
        nearest_offer(&one_word, pool_copy(verb->words, strcspn(verb->words, " ")));
        nearest_offer(&two_words, verb->words);
    }
    if (two_words.word != NULL) {
        output_error("there is no verb %s; did you mean `%s`?", two_words.said, two_words.word);
    } else if (one_word.word != NULL) {
        output_error("there is no verb %s; did you mean `%s`?", argv[0], one_word.word);
    } else {
        output_error("there is no verb %s; `punitctl help` lists them", argv[0]);
    }
    return EXIT_USAGE;
}
