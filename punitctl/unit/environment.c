#include "punitctl/unit/environment.h"

#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/admin.h"

#define SETTINGS_MOST 160


static void
set(unit_t *unit, const char *name, const char *value)
{
    for (size_t i = 0; i < unit->count; i++) {
        if (strcmp(unit->settings[i].name, name) == 0) {
            unit->settings[i].value = value;
            return;
        }
    }
    if (unit->count < SETTINGS_MOST) {
        unit->settings[unit->count++] = (setting_t){ name, value };
    }
}


static void
set_missing(unit_t *unit, const char *name, const char *value)
{
    if (unit_setting(unit, name) == NULL) {
        set(unit, name, value);
    }
}


static bool
set_address(unit_t *unit, const char *name, const char *given, const char *otherwise,
            const char *option)
{
    if (given != NULL && !address_valid(given)) {
        output_problem("bad-setting",
                       "%s: expected an IPv4 address and port like 127.0.0.1:8101,"
                       " not \"%s\"",
                       option, given);
        return false;
    }
    if (given != NULL) {
        set(unit, name, given);
    }
    set_missing(unit, name, otherwise);
    return true;
}


/* The address of the admin side, or "off". */
static bool
set_admin(unit_t *unit, const char *given)
{
    if (given != NULL && strcmp(given, "off") == 0) {
        set(unit, "PUNIT_ADMIN", given);
        return true;
    }
    return set_address(unit, "PUNIT_ADMIN", given, "127.0.0.1:8400", "--admin");
}


/* NAME=value that sh and systemd read alike: no quotes, no expansion. */
static bool
set_own(unit_t *unit, const char *own)
{
    size_t n = strspn(own, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    if (strncmp(own, "PUNIT_", 6) != 0 || own[n] != '=' || strpbrk(own + n, "\"'`$\\\n") != NULL) {
        output_problem("bad-setting", "expected a setting like PUNIT_MOVE_DWELL=1s, not \"%s\"",
                       own);
        return false;
    }
    set(unit, pool_copy(own, n), own + n + 1);
    return true;
}


bool
environment_make(unit_t *unit, const environment_t *given)
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
    if (!set_address(unit, "PUNIT_HTTP", given->http, "127.0.0.1:8100", "--http")
        || !set_address(unit, "PUNIT_LISTENER", given->listener, "127.0.0.1:8200", "--peer")
        || !set_address(unit, "PUNIT_PG_LISTEN", given->pg, "127.0.0.1:8300", "--pg")
        || !set_admin(unit, given->admin))
    {
        return false;
    }
    set(unit, "PUNIT_PG",
        pool_printf("host=%s port=%s dbname=punit", unit_path(unit, "sock"),
                    address_port(unit_setting(unit, "PUNIT_PG_LISTEN"))));
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
        if (!set_own(unit, given->own[i])) {
            return false;
        }
    }
    if (!admin_valid(unit)) {
        return false;
    }
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


file_result_t
environment_write(const unit_t *unit)
{
    const char *all = "";

    for (size_t i = 0; i < unit->count; i++) {
        const char *value = unit->settings[i].value;
        const char *quote = strpbrk(value, " ;&|<>()*?") != NULL ? "\"" : "";

        all = pool_printf("%s%s=%s%s%s\n", all, unit->settings[i].name, quote, value, quote);
    }
    return file_write(unit_path(unit, "unit.env"), all, strlen(all), 0640);
}
