#include "lib/http/query.h"

#include <stdlib.h>
#include <string.h>

#include "lib/http/value_rule.h"

typedef struct {
    const punit_arg_t *arg;
    const char        *value;
} pair_t;

struct punit_query {
    size_t n;
    pair_t pairs[];
};


static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = (char) (c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* Decodes application/x-www-form-urlencoded. NULL if a % is not followed by two hex digits. */
static char *
decode(punit_arena_t *arena, const char *text, size_t len, size_t *out)
{
    char  *p = punit_arena_alloc(arena, len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+') {
            p[n++] = ' ';

        } else if (text[i] != '%') {
            p[n++] = text[i];

        } else {
            if (len - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) {
                return NULL;
            }

            p[n++] = (char) (hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
        }
    }

    *out = n;
    return p;
}


static punit_problem_t *
fault(punit_arena_t *arena, const char *name, const char *detail)
{
    return punit_problem(arena, &punit_problem_invalid_query, "%s %s", name, detail);
}


static punit_problem_t *
store(punit_arena_t *arena, punit_query_t *q, const char *name, size_t name_len, const char *text,
      size_t text_len)
{
    size_t len, value_len;
    char  *key = decode(arena, name, name_len, &len);

    if (key == NULL) {
        return NULL;
    }

    for (size_t i = 0; i < q->n; i++) {
        pair_t            *pair = &q->pairs[i];
        const punit_arg_t *arg = pair->arg;

        if (strlen(arg->name) != len || memcmp(arg->name, key, len) != 0) {
            continue;
        }

        if (pair->value != NULL) {
            return fault(arena, arg->name, "is given twice");
        }

        char *value = decode(arena, text, text_len, &value_len);

        if (value == NULL) {
            return fault(arena, arg->name, "has a % that escapes nothing");
        }

        if (!punit_value_is(arg->type, value, value_len)) {
            return punit_problem(arena, &punit_problem_invalid_query, "%s must be %s", arg->name,
                                 punit_value_expected(arg->type));
        }

        const punit_value_rule_t rule = { arg->type, arg->bounded, arg->min,
                                          arg->max,  arg->values,  arg->check };
        const char              *wrong = punit_value_rule_text(arena, &rule, value, value_len);

        if (wrong != NULL) {
            return fault(arena, arg->name, wrong);
        }

        pair->value = value;
        return NULL;
    }

    return NULL;
}


punit_problem_t *
punit_query_parse(punit_arena_t *arena, const char *text, const punit_arg_t *args,
                  punit_query_t **query)
{
    size_t n = 0;

    while (args != NULL && args[n].name != NULL) {
        n++;
    }

    punit_query_t *q = punit_arena_alloc(arena, sizeof(punit_query_t) + n * sizeof(pair_t));

    *query = q;
    q->n = n;

    for (size_t i = 0; i < n; i++) {
        q->pairs[i].arg = &args[i];
    }

    for (const char *p = n > 0 && text != NULL ? text : ""; *p != '\0';) {
        size_t      len = strcspn(p, "&");
        const char *equals = memchr(p, '=', len);
        size_t      name = equals != NULL ? (size_t) (equals - p) : len;

        punit_problem_t *problem = store(arena, q, p, name, equals != NULL ? equals + 1 : "",
                                         equals != NULL ? len - name - 1 : 0);

        if (problem != NULL) {
            return problem;
        }

        p += len + (p[len] == '&');
    }

    for (size_t i = 0; i < n; i++) {
        if (q->pairs[i].value == NULL) {
            if (args[i].required) {
                return fault(arena, args[i].name, "is missing");
            }

            q->pairs[i].value = args[i].fallback;
        }
    }

    return NULL;
}


const char *
punit_query_get(const punit_query_t *query, const char *name)
{
    for (size_t i = 0; query != NULL && i < query->n; i++) {
        if (strcmp(query->pairs[i].arg->name, name) == 0) {
            return query->pairs[i].value;
        }
    }

    return NULL;
}
