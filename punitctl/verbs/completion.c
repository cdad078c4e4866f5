/*
 * punitctl completion: the verbs and options for the completion of a shell.
 *
 * Users and units are not completed: that would ask the database at each press of a key.
 */
#include <string.h>

#include "punitctl/catalogue.h"
#include "punitctl/pool.h"
#include "punitctl/verb.h"

static const char head[] =
    "# bash completion of punitctl, printed by `punitctl completion bash`\n"
    "_punitctl() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local first=${COMP_WORDS[1]:-} second=${COMP_WORDS[2]:-} words='' kind=''\n"
    "    COMPREPLY=()\n"
    "    if [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
    "    if [ \"$word\" = = ]; then word=; fi\n"
    "    case $COMP_CWORD:$first in\n";

/* Of the words that fit, those of the kind a file are completed by readline's rules for files. */
static const char tail[] =
    "    case $kind:$word in\n"
    "    file:*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
    "    directory:*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$word\") ;;\n"
    "    value:*) ;;\n"
    "    *:-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
    "    operand-file:*) compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -f -- \"$word\") ;;\n"
    "    *) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _punitctl punitctl\n";


/* "a b" with one more word, once. */
static char *
with(char *list, const char *word)
{
    const char *known = pool_printf(" %s ", list);

    return strstr(known, pool_printf(" %s ", word)) != NULL
               ? list
               : pool_printf("%s%s%s", list, *list != '\0' ? " " : "", word);
}


/* The first words of all verbs, or the words of a group. */
static char *
words_of(const char *group)
{
    char *all = "";

    for (const verb_t *verb = catalogue_verbs(); verb->words != NULL; verb++) {
        const char *word = group != NULL ? catalogue_member(verb, group)
                                         : pool_copy(verb->words, strcspn(verb->words, " "));

        if (word != NULL) {
            all = with(all, word);
        }
    }
    return all;
}


/* What comes after "punitctl": verbs and groups, and after a group its verbs. */
static char *
first_words(void)
{
    char *all = pool_printf("    1:*) words='%s' ;;\n", words_of(NULL)), *rest = words_of(NULL);
    char *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (catalogue_group(word) != NULL) {
            all = pool_printf("%s    2:%s) words='%s' ;;\n", all, word, words_of(word));
        }
    }
    return pool_printf("%s    esac\n", all);
}


/* Words of the operands that stand for themselves, as "exercises" of "exercises FILE". */
static char *
operand_words(const char *operands)
{
    char *all = "", *rest = pool_printf("%s", operands), *word;

    while ((word = strsep(&rest, " []")) != NULL) {
        if (*word >= 'a' && *word <= 'z') {
            all = with(all, word);
        } else if (strcmp(word, "VERB") == 0) {
            all = pool_printf("%s%s%s", all, *all != '\0' ? " " : "", words_of(NULL));
        }
    }
    return all;
}


static const char *
kind_of(const char *value)
{
    return strcmp(value, "FILE") == 0 ? "file" : strcmp(value, "DIR") == 0 ? "directory" : "value";
}


/* The cases of the options with a value, which follow `before`. */
static char *
value_cases(const verb_t *verb)
{
    char *all = "";

    for (const verb_option_t *option = verb->options; option->name != NULL; option++) {
        if (option->value != NULL) {
            all = pool_printf("%s --%s) kind=%s ;;", all, option->name, kind_of(option->value));
        }
    }
    return all;
}


static char *
options_of(const verb_t *verb)
{
    char *all = "--help -h";

    for (const verb_option_t *option = arguments_general; option->name != NULL; option++) {
        all = with(all, pool_printf("--%s", option->name));
    }
    for (const verb_option_t *option = verb->options; option->name != NULL; option++) {
        all = with(all, pool_printf("--%s", option->name));
    }
    return all;
}


static char *
verb_case(const verb_t *verb)
{
    bool two = strchr(verb->words, ' ') != NULL;

    return pool_printf("    '%s'%s)\n"
                       "        if [ $COMP_CWORD -ge %d ]; then\n"
                       "            words=\"$words %s %s\"%s\n"
                       "            case $before in%s esac\n"
                       "        fi ;;\n",
                       verb->words, two ? "" : "' '*", two ? 3 : 2, operand_words(verb->operands),
                       options_of(verb),
                       strstr(verb->operands, "FILE") != NULL ? " kind=operand-file" : "",
                       value_cases(verb));
}


int
verb_completion(const arguments_t *arguments)
{
    char *verbs_two = "", *verbs_one = "";

    if (strcmp(arguments->operand[0], "bash") != 0) {
        output_error("completion knows bash, not \"%s\"", arguments->operand[0]);
        return EXIT_USAGE;
    }
    /* A verb of two words goes before its group, which may be a verb too. */
    for (const verb_t *verb = catalogue_verbs(); verb->words != NULL; verb++) {
        if (strchr(verb->words, ' ') != NULL) {
            verbs_two = pool_printf("%s%s", verbs_two, verb_case(verb));
        } else {
            verbs_one = pool_printf("%s%s", verbs_one, verb_case(verb));
        }
    }
    output_text("script", pool_printf("%s%s    case \"$first $second\" in\n%s%s    esac\n%s", head,
                                      first_words(), verbs_two, verbs_one, tail));
    return EXIT_OK;
}
