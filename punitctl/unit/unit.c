#include "punitctl/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/process.h"

#define SETTINGS_MOST 128


bool
unit_id_valid(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n >= 1 && n <= 32 && id[n] == '\0';
}


bool
unit_id_check(const char *id)
{
    if (!unit_id_valid(id)) {
        output_error("a unit's id is [a-z0-9-]{1,32}, not \"%s\"", id);
        return false;
    }
    return true;
}


bool
unit_read_setting(char *line, setting_t *setting)
{
    char  *equals = strchr(line, '=');
    size_t n;

    if (line[0] == '#' || equals == NULL) {
        return false;
    }
    *equals++ = '\0';
    n = strlen(equals);
    if (n >= 2 && equals[0] == '"' && equals[n - 1] == '"') {
        equals[n - 1] = '\0';
        equals++;
    }
    *setting = (setting_t){ line, equals };
    return true;
}


setting_t *
unit_read_settings(const char *path, size_t *count)
{
    setting_t *settings = pool_alloc(SETTINGS_MOST * sizeof(*settings));
    char      *content = file_read(path, NULL);
    char      *rest = content;
    char      *line;

    *count = 0;
    if (content == NULL) {
        return NULL;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        setting_t setting;

        if (!unit_read_setting(line, &setting)) {
            continue;
        }
        if (*count == SETTINGS_MOST) {
            output_problem("bad-setting", "%s has more than %d settings", path, SETTINGS_MOST);
            return NULL;
        }
        settings[(*count)++] = setting;
    }
    return settings;
}


const char *
unit_directory(const arguments_t *arguments, const char **by)
{
    const char *dir = arguments_value(arguments, "dir");

    *by = "--dir";
    if (dir == NULL) {
        dir = getenv("PUNIT_DIR");
        *by = "PUNIT_DIR";
    }
    if (dir == NULL) {
        dir = UNIT_DIRECTORY;
        *by = "neither --dir nor PUNIT_DIR is given";
    }
    return dir;
}


/* Reads DIR/unit.env and checks that it is about DIR. */
static bool
read_own_settings(unit_t *unit)
{
    const char *dir;

    unit->settings = unit_read_settings(unit_path(unit, "unit.env"), &unit->count);
    if (unit->settings == NULL) {
        return false;
    }
    unit->id = unit_setting(unit, "PUNIT_UNIT");
    if (unit->id == NULL || !unit_id_valid(unit->id)) {
        output_problem("bad-setting", "%s/unit.env: PUNIT_UNIT must be [a-z0-9-]{1,32}, not \"%s\"",
                       unit->dir, unit->id != NULL ? unit->id : "");
        return false;
    }
    dir = unit_setting(unit, "PUNIT_DIR");
    if (dir != NULL && strcmp(dir, unit->dir) != 0) {
        output_problem("no-unit",
                       "%s/unit.env belongs to a unit in %s: paths in it and in its"
                       " configuration lead there",
                       unit->dir, dir);
        return false;
    }
    return true;
}


bool
unit_open(unit_t *unit, const arguments_t *arguments)
{
    const char *by;
    const char *dir = unit_directory(arguments, &by);

    memset(unit, 0, sizeof(*unit));
    unit->dir = file_real(dir);
    if (unit->dir == NULL || !file_exists(unit_path(unit, "unit.env"))) {
        output_problem("no-unit",
                       "%s holds no unit (no unit.env, %s); make one with"
                       " `punitctl unit init ID --dir %s`",
                       dir, by, dir);
        return false;
    }
    if (!process_become_owner(unit->dir) || !read_own_settings(unit)) {
        return false;
    }
    output_about(unit->id);
    return true;
}


const char *
unit_setting(const unit_t *unit, const char *name)
{
    /* The last one counts, as for sh and systemd. */
    for (size_t i = unit->count; i > 0; i--) {
        if (strcmp(unit->settings[i - 1].name, name) == 0) {
            return unit->settings[i - 1].value;
        }
    }
    return NULL;
}


char *
unit_path(const unit_t *unit, const char *format, ...)
{
    char    name[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    return pool_printf("%s/%s", unit->dir, name);
}
