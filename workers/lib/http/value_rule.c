#include "lib/http/value_rule.h"

#include <stdlib.h>
#include <string.h>


const char *
punit_value_rule_value(punit_arena_t *arena, const punit_value_rule_t *rule, double value)
{
    if (rule->bounded && (value < rule->min || value > rule->max)) {
        return punit_arena_format(arena, "must be from %.15g to %.15g", rule->min, rule->max);
    }

    return NULL;
}


const char *
punit_value_rule_count(punit_arena_t *arena, const punit_value_rule_t *rule, size_t n,
                       const char *unit)
{
    if (rule->bounded && ((double) n < rule->min || (double) n > rule->max)) {
        return punit_arena_format(arena, "must have from %.15g to %.15g %s", rule->min, rule->max,
                                  unit);
    }

    return NULL;
}


static const char *
one_of(punit_arena_t *arena, const char *const *values, const char *text, size_t len)
{
    const char *list = "must be one of";

    for (size_t i = 0; values[i] != NULL; i++) {
        if (strlen(values[i]) == len && memcmp(values[i], text, len) == 0) {
            return NULL;
        }

        list = punit_arena_format(arena, "%s%s %s", list, i > 0 ? "," : "", values[i]);
    }

    return list;
}


const char *
punit_value_rule_text(punit_arena_t *arena, const punit_value_rule_t *rule, const char *text,
                      size_t len)
{
    const char *wrong = NULL;

    if (rule->type == PUNIT_INTEGER || rule->type == PUNIT_NUMBER) {
        return punit_value_rule_value(arena, rule, strtod(text, NULL));
    }

    if (rule->bounded) {
        size_t characters = 0;

        for (size_t i = 0; i < len; i++) {
            characters += ((unsigned char) text[i] & 0xc0) != 0x80;
        }

        wrong = punit_value_rule_count(arena, rule, characters, "characters");
    }

    if (wrong == NULL && rule->values != NULL) {
        wrong = one_of(arena, rule->values, text, len);
    }

    if (wrong == NULL && rule->check != NULL) {
        wrong = rule->check(text, len);
    }

    return wrong;
}
