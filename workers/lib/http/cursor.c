#include "lib/http/cursor.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http/body.h"

#define TEXT_MAX 1024
#define VARIANT  sodium_base64_VARIANT_URLSAFE_NO_PADDING


char *
punit_cursor_encode(punit_arena_t *arena, const char *key)
{
    size_t len = strlen(key);
    size_t size = sodium_base64_encoded_len(len, VARIANT);
    char  *text = punit_arena_alloc(arena, size);

    return sodium_bin2base64(text, size, (const unsigned char *) key, len, VARIANT);
}


static void
free_json(void *json)
{
    json_decref(json);
}


punit_problem_t *
punit_cursor_decode(punit_arena_t *arena, const char *text, const punit_value_type_t *types,
                    const char *values[PUNIT_CURSOR_MAX])
{
    unsigned char key[TEXT_MAX];
    size_t        len;
    json_t       *array = NULL;

    if (sodium_base642bin(key, sizeof(key), text, strlen(text), NULL, &len, NULL, VARIANT) == 0) {
        array = json_loadb((const char *) key, len, 0, NULL);
    }

    if (array == NULL) {
        return punit_problem(arena, &punit_problem_invalid_query, "cursor is none of this list");
    }

    punit_arena_own(arena, free_json, array);

    size_t n = 0;

    while (types[n] != PUNIT_NONE) {
        n++;
    }

    if (!json_is_array(array) || json_array_size(array) != n) {
        return punit_problem(arena, &punit_problem_invalid_query, "cursor is none of this list");
    }

    for (size_t i = 0; i < n; i++) {
        json_t     *wrapped = json_pack("{s:O}", "k", json_array_get(array, i));
        const char *value = punit_body_text(arena, wrapped, "k");

        json_decref(wrapped);

        /* A string's text belongs to `array`, which lives as long as the arena. */
        if (value == NULL || !punit_value_is(types[i], value, strlen(value))) {
            return punit_problem(arena, &punit_problem_invalid_query,
                                 "cursor is none of this list");
        }

        values[i] = value;
    }

    return NULL;
}
