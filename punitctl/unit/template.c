#include "punitctl/unit/template.h"

#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/installation.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"


static const char *
look_up(const unit_t *unit, const template_value_t *values, const char *name)
{
    for (; values != NULL && values->name != NULL; values++) {
        if (values->value != NULL && strcmp(values->name, name) == 0) {
            return values->value;
        }
    }
    return unit_setting(unit, name);
}


/* The length of the placeholder at `at`, both @ included; 0: none begins there. */
static size_t
placeholder(const char *at)
{
    size_t n = *at == '@' ? strspn(at + 1, NAME_CHARACTERS) : 0;

    return n > 0 && at[n + 1] == '@' ? n + 2 : 0;
}


const char *
template_render(const unit_t *unit, const char *name, const template_value_t *values)
{
    const char *file = pool_printf("conf/templates/%s", name);
    const char *path, *rest, *at, *all = "";
    size_t      n;

    if (!installation_has(file)) {
        return "";
    }
    path = installation_share(file);
    rest = path != NULL ? file_read(path, NULL) : NULL;
    at = rest;
    if (rest == NULL) {
        return NULL;
    }
    while (*at != '\0') {
        const char *wanted, *value;
        size_t      length;

        n = placeholder(at);
        if (n == 0) {
            at++;
            continue;
        }
        wanted = pool_copy(at + 1, n - 2);
        value = look_up(unit, values, wanted);
        if (value == NULL) {
            output_problem("bad-file", "%s: no value for @%s@", path, wanted);
            return NULL;
        }
        length = strlen(value);
        if (length > 0 && value[length - 1] == '\n') {
            length--;
        }
        all = pool_printf("%s%.*s%.*s", all, (int) (at - rest), rest, (int) length, value);
        if (length == 0 && (at == rest || at[-1] == '\n') && at[n] == '\n') {
            n++;
        }
        at += n;
        rest = at;
    }
    return pool_printf("%s%s", all, rest);
}


file_result_t
template_write(const unit_t *unit, const char *name, const template_value_t *values,
               const char *path, mode_t mode)
{
    const char *content = template_render(unit, name, values);

    if (content == NULL) {
        return FILE_FAILED;
    }
    return conffile_write(unit, path, content, strlen(content), mode);
}
