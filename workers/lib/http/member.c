#include "lib/http/member.h"

#include <stdlib.h>
#include <string.h>

#include "lib/http/value_rule.h"

#define FAULTS_MAX 20

typedef struct {
    punit_arena_t *arena;
    json_t        *errors;
    bool           merge;
} check_t;


static void
free_text(void *text)
{
    free(text);
}


/* Where a value stands. The text is only made for a fault. */
typedef struct place {
    const struct place *in;   /* NULL: it is the body */
    const char         *name; /* NULL: an item */
    size_t              index;
} place_t;


/* As a JSON Pointer (RFC 6901): ~ and / are written ~0 and ~1. */
static const char *
pointer_of(punit_arena_t *arena, const place_t *place)
{
    if (place->in == NULL) {
        return "";
    }

    const char *in = pointer_of(arena, place->in);

    if (place->name == NULL) {
        return punit_arena_format(arena, "%s/%zu", in, place->index);
    }

    size_t len = strlen(in);
    char  *p = punit_arena_alloc(arena, len + 2 * strlen(place->name) + 2);
    size_t n = len;

    memcpy(p, in, len);
    p[n++] = '/';

    for (const char *name = place->name; *name != '\0'; name++) {
        if (*name == '~' || *name == '/') {
            p[n++] = '~';
            p[n++] = *name == '~' ? '0' : '1';
        } else {
            p[n++] = *name;
        }
    }

    return p;
}


static void
add_fault(check_t *c, const place_t *place, const char *detail)
{
    if (json_array_size(c->errors) < FAULTS_MAX) {
        json_array_append_new(c->errors, json_pack("{s:s, s:s}", "pointer",
                                                   pointer_of(c->arena, place), "detail", detail));
    }
}


static punit_problem_t *
faults(punit_arena_t *arena, const json_t *errors)
{
    punit_problem_t *problem = punit_problem(arena, &punit_problem_invalid, NULL);
    char            *text = json_dumps(errors, JSON_COMPACT);

    if (text != NULL) {
        punit_arena_own(arena, free_text, text);
        problem->errors = text;
    }

    return problem;
}


punit_problem_t *
punit_member_fault(punit_arena_t *arena, const char *detail)
{
    json_t *errors = json_array();
    check_t c = { .arena = arena, .errors = errors };

    add_fault(&c, &(place_t){ NULL, NULL, 0 }, detail);

    punit_problem_t *problem = faults(arena, errors);

    json_decref(errors);
    return problem;
}


static bool
is_type(const json_t *value, punit_value_type_t type)
{
    switch (type) {
    case PUNIT_NONE:
        return true;

    case PUNIT_INTEGER:
        return json_is_integer(value);

    case PUNIT_NUMBER:
        return json_is_number(value);

    case PUNIT_BOOLEAN:
        return json_is_boolean(value);

    case PUNIT_ARRAY:
        return json_is_array(value);

    case PUNIT_OBJECT:
        return json_is_object(value);

    default:
        return json_is_string(value)
               && punit_value_is(type, json_string_value(value), json_string_length(value));
    }
}


/* Whether a text anywhere in a value holds U+0000 (names cannot: the parser refuses those). */
static bool
holds_zero(const json_t *value)
{
    const char *name;
    json_t     *member;

    if (json_is_string(value)) {
        return memchr(json_string_value(value), '\0', json_string_length(value)) != NULL;
    }

    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        if (holds_zero(json_array_get(value, i))) {
            return true;
        }
    }

    json_object_foreach((json_t *) value, name, member)
    {
        if (holds_zero(member)) {
            return true;
        }
    }

    return false;
}


static void check_members(check_t *c, const json_t *object, const punit_member_t *members,
                          const place_t *place);


static void
check_value(check_t *c, const json_t *value, const punit_member_t *m, const place_t *place)
{
    const punit_value_rule_t rule = { m->type, m->bounded, m->min, m->max, m->values, m->check };
    const char              *wrong = NULL;

    if (json_is_null(value)) {
        if (!m->nullable && !(c->merge && !m->required && m->name != NULL)) {
            add_fault(c, place, "must not be null");
        }

        return;
    }

    if (!is_type(value, m->type)) {
        if (json_is_string(value) && m->type == PUNIT_STRING) {
            wrong = "must not hold U+0000";
        } else {
            wrong = punit_arena_format(c->arena, "must be %s", punit_value_expected(m->type));
        }

        add_fault(c, place, wrong);
        return;
    }

    if (json_is_number(value)) {
        wrong = punit_value_rule_value(c->arena, &rule, json_number_value(value));

    } else if (json_is_string(value)) {
        wrong = punit_value_rule_text(c->arena, &rule, json_string_value(value),
                                      json_string_length(value));

    } else if (json_is_array(value)) {
        wrong = punit_value_rule_count(c->arena, &rule, json_array_size(value), "items");

        /* Too many items are not gone through as well. */
        for (size_t i = 0; wrong == NULL && m->item != NULL && i < json_array_size(value); i++) {
            if (json_array_size(c->errors) >= FAULTS_MAX) {
                break;
            }

            check_value(c, json_array_get(value, i), m->item, &(place_t){ place, NULL, i });
        }

    } else if (json_is_object(value) && m->members != NULL) {
        check_members(c, value, m->members, place);
    }

    /* Where no table looks inside. */
    if (wrong == NULL && (json_is_array(value) ? m->item == NULL : m->members == NULL)
        && holds_zero(value))
    {
        wrong = "must not hold U+0000";
    }

    if (wrong != NULL) {
        add_fault(c, place, wrong);
    }
}


static void
check_members(check_t *c, const json_t *object, const punit_member_t *members, const place_t *place)
{
    size_t known = 0;

    for (const punit_member_t *m = members; m->name != NULL; m++) {
        const json_t *value = json_object_get(object, m->name);

        if (value != NULL) {
            known++;
            check_value(c, value, m, &(place_t){ place, m->name, 0 });

        } else if (m->required && !c->merge) {
            add_fault(c, &(place_t){ place, m->name, 0 }, "is missing");
        }
    }

    if (known == json_object_size(object)) {
        return;
    }

    const char *name;
    json_t     *value;

    json_object_foreach((json_t *) object, name, value)
    {
        const punit_member_t *m = members;

        while (m->name != NULL && strcmp(m->name, name) != 0) {
            m++;
        }

        if (m->name == NULL) {
            add_fault(c, &(place_t){ place, name, 0 }, "is not known here");
        }
    }
}


punit_problem_t *
punit_member_check(punit_arena_t *arena, const json_t *json, const punit_member_t *members,
                   bool merge)
{
    const place_t    whole = { NULL, NULL, 0 };
    check_t          c = { arena, json_array(), merge };
    punit_problem_t *problem = NULL;

    if (members->name == NULL && members->type != PUNIT_NONE) {
        check_value(&c, json, members, &whole);

    } else if (!json_is_object(json)) {
        add_fault(&c, &whole, "must be an object");

    } else {
        check_members(&c, json, members, &whole);
    }

    if (json_array_size(c.errors) > 0) {
        problem = faults(arena, c.errors);
    }

    json_decref(c.errors);
    return problem;
}
