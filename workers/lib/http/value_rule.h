/* Value rule: what a value of a query argument or a member must be beyond its type. Pure. */
#ifndef PUNIT_LIB_HTTP_VALUE_RULE_H
#define PUNIT_LIB_HTTP_VALUE_RULE_H

#include "lib/base/arena.h"
#include "lib/http/value.h"

typedef struct {
    punit_value_type_t   type;
    bool                 bounded;
    double               min, max;
    const char *const   *values;
    punit_value_check_pt check;
} punit_value_rule_t;

/* What is wrong with a text that has the rule's type, NULL when nothing. */
const char *punit_value_rule_text(punit_arena_t *arena, const punit_value_rule_t *rule,
                                  const char *text, size_t len);

/* The same for a number's value, and for how many characters or items something has (unit names
 * them). */
const char *punit_value_rule_value(punit_arena_t *arena, const punit_value_rule_t *rule,
                                   double value);
const char *punit_value_rule_count(punit_arena_t *arena, const punit_value_rule_t *rule, size_t n,
                                   const char *unit);

#endif
