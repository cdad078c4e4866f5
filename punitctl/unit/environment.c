#include "punitctl/unit/environment.h"

#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/nginx_admin.h"
#include "punitctl/unit/nginx_public.h"

#define SETTINGS_MOST 160


/* True if the setting was not so before. */
static bool
set(unit_t *unit, const char *name, const char *value)
{
    for (size_t i = unit->count; i > 0; i--) {
        setting_t *setting = &unit->settings[i - 1];

        if (strcmp(setting->name, name) == 0) {
            bool news = strcmp(setting->value, value) != 0;

            setting->value = value;
            return news;
        }
    }
    if (unit->count < SETTINGS_MOST) {
        unit->settings[unit->count++] = (setting_t){ name, value };
    }
    return true;
}


static void
set_missing(unit_t *unit, const char *name, const char *value)
{
    if (unit_setting(unit, name) == NULL) {
        set(unit, name, value);
    }
}


/* True if the option is given and not so before. */
static bool
set_given(unit_t *unit, const char *name, const char *given, const char *otherwise)
{
    if (given != NULL) {
        return set(unit, name, given);
    }
    if (otherwise != NULL) {
        set_missing(unit, name, otherwise);
    }
    return false;
}


/* Each address is good, and has one use. */
static bool
check_addresses(const unit_t *unit)
{
    static const struct {
        const char *setting, *option, *else_off;
    } addresses[] = {
        { "PUNIT_HTTP", "--http", "" },           { "PUNIT_LISTENER", "--peer", "" },
        { "PUNIT_PG_LISTEN", "--pg", "" },        { "PUNIT_HTTPS", "--https", "; or off" },
        { "PUNIT_ADMIN", "--admin", "; or off" },
    };
    const char *seen[] = {
        unit_setting(unit, "PUNIT_HTTP"),
        unit_setting(unit, "PUNIT_LISTENER"),
        unit_setting(unit, "PUNIT_PG_LISTEN"),
        nginx_public_https(unit),
        nginx_admin_address(unit),
    };

    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        const char *problem = seen[i] != NULL ? address_problem(seen[i]) : NULL;

        if (problem != NULL) {
            output_problem("bad-setting", "%s (%s): %s%s", addresses[i].option,
                           addresses[i].setting, problem, addresses[i].else_off);
            return false;
        }
        for (size_t k = 0; seen[i] != NULL && k < i; k++) {
            if (seen[k] != NULL && strcmp(seen[i], seen[k]) == 0) {
                output_problem("bad-setting", "%s and %s are both %s", addresses[k].setting,
                               addresses[i].setting, seen[i]);
                return false;
            }
        }
    }
    return true;
}


static bool
check(const unit_t *unit)
{
    const char *problem = nginx_public_problem(unit);

    if (problem != NULL) {
        output_problem("bad-setting", "%s", problem);
        return false;
    }
    if (nginx_public_https(unit) != NULL
        && (unit_setting(unit, "PUNIT_HTTPS_CERT") == NULL
            || unit_setting(unit, "PUNIT_HTTPS_KEY") == NULL))
    {
        output_problem("bad-setting",
                       "PUNIT_HTTPS needs a certificate for clients; give --https-cert"
                       " and --https-key");
        return false;
    }
    return check_addresses(unit) && nginx_admin_valid(unit);
}


/* NAME=value that sh and systemd read alike: no quotes, no expansion. */
static bool
set_own(unit_t *unit, const char *own, bool *news)
{
    size_t n = strspn(own, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    if (strncmp(own, "PUNIT_", 6) != 0 || own[n] != '=' || strpbrk(own + n, "\"'`$\\\n") != NULL) {
        output_problem("bad-setting", "expected a setting like PUNIT_MOVE_DWELL=1s, not \"%s\"",
                       own);
        return false;
    }
    *news |= set(unit, pool_copy(own, n), own + n + 1);
    return true;
}


bool
environment_make(unit_t *unit, environment_t *given)
{
    const char *path = unit_path(unit, "unit.env");
    setting_t  *settings = pool_alloc(SETTINGS_MOST * sizeof(*settings));
    const char *id;

    unit->count = 0;
    if (file_exists(path)) {
        setting_t *old = unit_read_settings(path, &unit->count);

        if (old == NULL) {
            return false;
        }
        memcpy(settings, old, unit->count * sizeof(*settings));
    }
    unit->settings = settings;
    id = unit_setting(unit, "PUNIT_UNIT");
    if (id != NULL && strcmp(id, unit->id) != 0) {
        output_problem("bad-setting", "%s is unit %s already", unit->dir, id);
        return false;
    }
    set(unit, "PUNIT_UNIT", unit->id);
    set(unit, "PUNIT_DIR", unit->dir);
    given->news |= set_given(unit, "PUNIT_HTTP", given->http, "127.0.0.1:8100");
    given->news |= set_given(unit, "PUNIT_LISTENER", given->listener, "127.0.0.1:8200");
    given->news |= set_given(unit, "PUNIT_PG_LISTEN", given->pg, "127.0.0.1:8300");
    given->news |= set_given(unit, "PUNIT_ADMIN", given->admin, "127.0.0.1:8400");
    given->news |= set_given(unit, "PUNIT_HTTPS", given->https, NULL);
    if (given->https_certificate) {
        set_missing(unit, "PUNIT_HTTPS_CERT", unit_path(unit, "tls/https.pem"));
        set_missing(unit, "PUNIT_HTTPS_KEY", unit_path(unit, "tls/https.key"));
    }
    set_missing(unit, "PUNIT_GRID", pool_printf("unix:%s/sock/grid.sock", unit->dir));
    set_missing(unit, "PUNIT_TOKEN_GRID", pool_printf("unix:%s/sock/tokens.sock", unit->dir));
    set_missing(unit, "PUNIT_TLS_CERT", unit_path(unit, "tls/unit.pem"));
    set_missing(unit, "PUNIT_TLS_KEY", unit_path(unit, "tls/unit.key"));
    set_missing(unit, "PUNIT_TLS_CA", unit_path(unit, "tls/ca.pem"));
    set_missing(unit, "PUNIT_KEYS", unit_path(unit, "keys"));
    set_missing(unit, "PUNIT_PRIVATE", unit_path(unit, "private"));
    set_missing(unit, "PUNIT_ISSUER", "punit");
    set_missing(unit, "PUNIT_AUDIENCE", "punit");
    set_missing(unit, "PUNIT_MOVE_AFTER", "2");
    set_missing(unit, "PUNIT_MOVE_WINDOW", "10m");
    set_missing(unit, "PUNIT_MOVE_QUIET", "5s");
    set_missing(unit, "PUNIT_MOVE_DWELL", "10s");
    set_missing(unit, "PUNIT_MOVERS", "4");
    for (int i = 0; i < given->own_count; i++) {
        if (!set_own(unit, given->own[i], &given->news)) {
            return false;
        }
    }
    if (!check(unit)) {
        return false;
    }
    set(unit, "PUNIT_PG",
        pool_printf("host=%s port=%s dbname=punit", unit_path(unit, "sock"),
                    address_port(unit_setting(unit, "PUNIT_PG_LISTEN"))));
    /* sockaddr_un holds 107 bytes. The socket of PostgreSQL has the longest name. */
    if (strlen(unit_path(unit, "sock/.s.PGSQL.65535")) > 107) {
        output_problem("bad-setting",
                       "%s is too long for unix sockets: its sockets' paths must stay"
                       " below 108 bytes; choose a shorter directory",
                       unit->dir);
        return false;
    }
    if (strpbrk(unit->dir, " \"'`$\\\n;{}") != NULL) {
        output_problem("bad-setting", "%s: a unit's path must have no blanks, quotes or ; { }",
                       unit->dir);
        return false;
    }
    return true;
}


static const char *
line_of(const char *name, const char *value)
{
    const char *quote = strpbrk(value, " ;&|<>()*?") != NULL ? "\"" : "";

    return pool_printf("%s=%s%s%s", name, quote, value, quote);
}


/* The last line that sets `name`, or NULL. Only that one counts. */
static const char **
find_line(const char **lines, size_t count, const char *name)
{
    size_t n = strlen(name);

    while (count-- > 0) {
        if (strncmp(lines[count], name, n) == 0 && lines[count][n] == '=') {
            return &lines[count];
        }
    }
    return NULL;
}


static bool
says(const char *line, const char *value)
{
    setting_t setting;

    return unit_read_setting(pool_printf("%s", line), &setting)
           && strcmp(setting.value, value) == 0;
}


/* Own comments, own lines and their order stay. */
file_result_t
environment_write(const unit_t *unit)
{
    const char  *path = unit_path(unit, "unit.env");
    char        *rest = file_exists(path) ? file_read(path, NULL) : pool_printf("%s", "");
    size_t       count = 0;
    const char **lines, *all = "";

    if (rest == NULL) {
        return FILE_FAILED;
    }
    lines = pool_alloc((strlen(rest) + 1 + SETTINGS_MOST) * sizeof(*lines));
    while (rest != NULL && *rest != '\0') {
        lines[count++] = strsep(&rest, "\n");
    }
    for (size_t i = 0; i < unit->count; i++) {
        const char  *name = unit->settings[i].name, *value = unit_setting(unit, name);
        const char **line = find_line(lines, count, name);

        if (line == NULL) {
            lines[count++] = line_of(name, value);
        } else if (!says(*line, value)) {
            *line = line_of(name, value);
        }
    }
    for (size_t i = 0; i < count; i++) {
        all = pool_printf("%s%s\n", all, lines[i]);
    }
    return file_write(path, all, strlen(all), 0640);
}
