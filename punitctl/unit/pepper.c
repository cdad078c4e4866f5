#include "punitctl/unit/pepper.h"

#include <openssl/rand.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"

#define PEPPER_BYTES 32


static const char *
path_of(const unit_t *unit)
{
    return pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE"));
}


bool
pepper_is_there(const unit_t *unit)
{
    return file_exists(path_of(unit));
}


static bool
is_valid(const char *pepper)
{
    size_t n = strspn(pepper, "0123456789abcdef");

    return n == 2 * PEPPER_BYTES && (pepper[n] == '\0' || pepper[n] == '\n');
}


/* Random bytes as a line. NULL with the reason printed. */
static const char *
fresh(void)
{
    unsigned char bytes[PEPPER_BYTES];
    char         *text = "";

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        output_error("no random bytes for the pepper");
        return NULL;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        text = pool_printf("%s%02x", text, bytes[i]);
    }
    return pool_printf("%s\n", text);
}


const char *
pepper_shared(const char *file, file_result_t *made)
{
    const char *pepper = fresh();

    *made = pepper != NULL ? file_create(file, pepper, 0600) : FILE_FAILED;
    pepper = *made != FILE_FAILED ? file_read(file, NULL) : NULL;
    *made = pepper != NULL ? *made : FILE_FAILED;
    return pepper;
}


/* FILE_KEPT: the unit has this pepper, or one and none is given. */
static file_result_t
compare(const char *path, const char *pepper, const char *from)
{
    const char *now = file_read(path, NULL);

    if (now == NULL) {
        return FILE_FAILED;
    }
    if (pepper != NULL && strncmp(now, pepper, 2 * PEPPER_BYTES) != 0) {
        output_problem("bad-file",
                       "%s differs from %s: with another pepper no name of before"
                       " would be found again",
                       from, path);
        return FILE_FAILED;
    }
    return FILE_KEPT;
}


file_result_t
pepper_put(const unit_t *unit, const char *pepper, const char *from)
{
    const char *path = path_of(unit);
    const char *line;

    if (pepper != NULL && !is_valid(pepper)) {
        output_problem("bad-file", "%s: a pepper is %d bytes as hexadecimal digits", from,
                       PEPPER_BYTES);
        return FILE_FAILED;
    }
    if (file_exists(path)) {
        return compare(path, pepper, from);
    }
    if (pepper == NULL) {
        pepper = fresh();
    }
    if (pepper == NULL) {
        return FILE_FAILED;
    }
    line = pool_printf("%.*s\n", 2 * PEPPER_BYTES, pepper);
    return file_write(path, line, strlen(line), 0600);
}
