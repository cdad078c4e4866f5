#include "lib/http/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http/member.h"

#define DIGITS_MAX  15
#define DIGITS_WIDE 19 /* of INT64_MAX: from there on a whole number may fit no integer */
#define PARSE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* jansson allocates each value, and a body may have tens of thousands. While a body is parsed, they
 * come from the request's arena and are freed with it. So a parsed value must never change. */
static _Thread_local punit_arena_t *parsing;


static void *
take(size_t size)
{
    return parsing != NULL ? punit_arena_alloc(parsing, size) : malloc(size);
}


static void
give_back(void *memory)
{
    if (parsing == NULL) {
        free(memory);
    }
}


static __attribute__((constructor)) void
set_allocator(void)
{
    json_set_alloc_funcs(take, give_back);
}


static json_t *
parse(punit_arena_t *arena, const char *text, size_t len, size_t flags, json_error_t *error)
{
    parsing = arena;

    json_t *json = json_loadb(text, len, flags, error);

    parsing = NULL;
    return json;
}


static void
free_text(void *text)
{
    free(text);
}


static bool
is_json(punit_arena_t *arena, const char *text, size_t len)
{
    return parse(arena, text, len, PARSE_FLAGS, NULL) != NULL;
}


/* A copy that is JSON exactly if the text is, with numbers that fit: outside of strings no more
 * than 15 digits in a row, and 0 for each exponent. */
static const char *
tame_numbers(punit_arena_t *arena, const char *text, size_t *len)
{
    char  *copy = punit_arena_alloc(arena, *len + 1);
    size_t n = 0, run = 0;
    bool   in_string = false, in_exponent = false;

    for (size_t i = 0; i < *len; i++) {
        char c = text[i];

        if (in_string) {
            in_string = c != '"';

            if (c == '\\' && i + 1 < *len) {
                copy[n++] = c;
                c = text[++i];
            }

        } else if (c >= '0' && c <= '9') {
            if (++run > (in_exponent ? 1 : DIGITS_MAX)) {
                continue;
            }

            c = in_exponent ? '0' : c;

        } else {
            in_exponent =
                ((c == 'e' || c == 'E') && run > 0) || (in_exponent && (c == '+' || c == '-'));
            in_string = c == '"';
            run = 0;
        }

        copy[n++] = c;
    }

    *len = n;
    return copy;
}


/* A copy where each whole number that fits no integer is written as a real one: the same number, as
 * 1e19 is 10000000000000000000. */
static const char *
widen_numbers(punit_arena_t *arena, const char *text, size_t *len)
{
    char  *copy = punit_arena_alloc(arena, *len + *len / DIGITS_WIDE * 2 + 3);
    size_t n = 0, i = 0;
    bool   in_string = false;

    while (i < *len) {
        size_t digits = 0;
        bool   whole = i == 0 || strchr(".eE+", text[i - 1]) == NULL;

        while (!in_string && i + digits < *len && text[i + digits] >= '0'
               && text[i + digits] <= '9') {
            digits++;
        }

        if (digits == 0) {
            if (text[i] == '"') {
                in_string = !in_string;

            } else if (in_string && text[i] == '\\' && i + 1 < *len) {
                copy[n++] = text[i++];
            }

            copy[n++] = text[i++];
            continue;
        }

        /* The minus of an exponent. */
        if (i > 1 && text[i - 1] == '-' && (text[i - 2] == 'e' || text[i - 2] == 'E')) {
            whole = false;
        }

        memcpy(copy + n, text + i, digits);
        n += digits;
        i += digits;

        if (whole && digits >= DIGITS_WIDE && (i == *len || strchr(".eE", text[i]) == NULL)) {
            memcpy(copy + n, ".0", 2);
            n += 2;
        }
    }

    *len = n;
    return copy;
}


punit_problem_t *
punit_body_parse(punit_arena_t *arena, const char *text, size_t len, json_t **json)
{
    json_error_t error;

    *json = NULL;

    /* jansson takes a zero byte behind the value for the end. */
    if (memchr(text, '\0', len) != NULL) {
        return punit_problem(arena, &punit_problem_malformed, "It holds a zero byte");
    }

    *json = parse(arena, text, len, PARSE_FLAGS | JSON_REJECT_DUPLICATES, &error);

    if (*json != NULL) {
        return NULL;
    }

    /* Valid JSON that is refused is a 422, as any other fault of a value. But the text after such a
     * place may still be malformed. */
    switch (json_error_code(&error)) {
    case json_error_duplicate_key:
        if (is_json(arena, text, len)) {
            return punit_member_fault(arena, "a member is there twice");
        }

        break;

    case json_error_numeric_overflow: {
        size_t      wide_len = len, tame_len = len;
        const char *wide = widen_numbers(arena, text, &wide_len);

        *json = parse(arena, wide, wide_len, PARSE_FLAGS | JSON_REJECT_DUPLICATES, NULL);

        if (*json != NULL) {
            return NULL;
        }

        const char *tame = tame_numbers(arena, text, &tame_len);

        if (is_json(arena, tame, tame_len)) {
            return punit_member_fault(arena, "a number is out of range");
        }

        break;
    }

    case json_error_null_byte_in_key:
        return punit_member_fault(arena, "a member's name holds U+0000");

    default:
        break;
    }

    return punit_problem(arena, &punit_problem_malformed, "line %d, column %d", error.line,
                         error.column);
}


/* The shortest decimal text that reads back as the same double. */
static const char *
real_text(punit_arena_t *arena, double value)
{
    char text[40];

    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);

        if (strtod(text, NULL) == value) {
            break;
        }
    }

    return punit_arena_copy(arena, text);
}


const char *
punit_body_text(punit_arena_t *arena, const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    switch (value != NULL ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
        return NULL;

    case JSON_STRING:
        return json_string_value(value);

    case JSON_INTEGER:
        return punit_arena_format(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));

    case JSON_REAL:
        return real_text(arena, json_real_value(value));

    case JSON_TRUE:
        return "true";

    case JSON_FALSE:
        return "false";

    default:
        break;
    }

    char *text = json_dumps(value, JSON_COMPACT);

    if (text != NULL) {
        punit_arena_own(arena, free_text, text);
    }

    return text;
}
