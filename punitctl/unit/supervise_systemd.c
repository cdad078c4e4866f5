#include "punitctl/unit/supervise_systemd.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "punitctl/pool.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGES "/org/freedesktop/systemd1"
#define UNIT    "org.freedesktop.systemd1.Unit"
#define SERVICE "org.freedesktop.systemd1.Service"

#define ANSWER_US (5 * 1000 * 1000)

/* The processes whose service is not punit@<name>.service. */
static const struct {
    const char *name;
    const char *service;
} services[] = {
    { "postgres", "punit-postgres.service" },
    { "grid", "punit-grid@grid.service" },
    { "tokens", "punit-grid@tokens.service" },
    { "nginx", "punit-nginx.service" },
};


/* The system bus, kept until the run ends. NULL: there is none, so there is no systemd to ask. */
static sd_bus *
open_bus(void)
{
    static sd_bus *bus;
    static bool    tried;

    if (!tried) {
        tried = true;
        if (sd_bus_open_system(&bus) < 0) {
            bus = NULL;
        } else {
            sd_bus_set_method_call_timeout(bus, ANSWER_US);
        }
    }
    return bus;
}


/* The object of a service. NULL: systemd does not answer. */
static const char *
path_of(sd_bus *bus, const char *service)
{
    sd_bus_message *answer = NULL;
    const char     *path = NULL;

    if (sd_bus_call_method(bus, MANAGER, MANAGES, MANAGER ".Manager", "LoadUnit", NULL, &answer,
                           "s", service)
            >= 0
        && sd_bus_message_read(answer, "o", &path) >= 0)
    {
        path = pool_printf("%s", path);
    }
    sd_bus_message_unref(answer);
    return path;
}


static const char *
text_of(sd_bus *bus, const char *path, const char *interface, const char *name)
{
    char       *text = NULL;
    const char *copy = NULL;

    if (sd_bus_get_property_string(bus, MANAGER, path, interface, name, NULL, &text) >= 0) {
        copy = pool_printf("%s", text);
    }
    free(text);
    return copy;
}


/* True if the service reads this file for its environment. */
static bool
reads(sd_bus *bus, const char *path, const char *environment)
{
    sd_bus_message *answer = NULL;
    const char     *file;
    int             optional;
    bool            found = false;

    if (environment == NULL
        || sd_bus_get_property(bus, MANAGER, path, SERVICE, "EnvironmentFiles", NULL, &answer,
                               "a(sb)")
               < 0
        || sd_bus_message_enter_container(answer, 'a', "(sb)") < 0)
    {
        sd_bus_message_unref(answer);
        return false;
    }
    while (!found && sd_bus_message_read(answer, "(sb)", &file, &optional) > 0) {
        const char *real = file_real(file);

        found = real != NULL && strcmp(real, environment) == 0;
    }
    sd_bus_message_unref(answer);
    return found;
}


bool
supervise_systemd(const unit_t *unit)
{
    static const unit_t *asked;
    static bool          answer;
    sd_bus              *bus = asked != unit ? open_bus() : NULL;
    const char          *path;

    if (asked != unit) {
        asked = unit;
        path = bus != NULL ? path_of(bus, "punit-nginx.service") : NULL;
        answer = path != NULL && reads(bus, path, file_real(unit_path(unit, "unit.env")));
    }
    return answer;
}


static const char *
service_of(const char *name)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
        if (strcmp(services[i].name, name) == 0) {
            return services[i].service;
        }
    }
    return pool_printf("punit@%s.service", name);
}


const char *
supervise_log(const unit_t *unit, const char *name)
{
    if (strcmp(name, "nginx") != 0 && supervise_systemd(unit)) {
        return pool_printf("`journalctl --unit %s`", service_of(name));
    }
    return unit_path(unit, "log/%s.log", name);
}


bool
supervise_systemd_state(const unit_t *unit, const char *name, supervise_state_t *state)
{
    uint32_t    pid = 0, restarts = 0;
    uint64_t    since_us = 0;
    const char *path, *is;
    sd_bus     *bus;

    if (!supervise_systemd(unit)) {
        return false;
    }
    memset(state, 0, sizeof(*state));
    state->known = true;
    state->restarts = -1;
    bus = open_bus();
    path = path_of(bus, service_of(name));
    if (path == NULL) {
        return true;
    }
    if (sd_bus_get_property_trivial(bus, MANAGER, path, SERVICE, "NRestarts", NULL, 'u', &restarts)
        >= 0)
    {
        state->restarts = restarts;
    }
    state->result = text_of(bus, path, SERVICE, "Result");
    is = text_of(bus, path, UNIT, "ActiveState");
    if (is == NULL || (strcmp(is, "active") != 0 && strcmp(is, "reloading") != 0)) {
        return true;
    }
    sd_bus_get_property_trivial(bus, MANAGER, path, SERVICE, "MainPID", NULL, 'u', &pid);
    sd_bus_get_property_trivial(bus, MANAGER, path, UNIT, "ActiveEnterTimestamp", NULL, 't',
                                &since_us);
    state->pid = (pid_t) pid;
    state->since = (double) since_us / 1e6;
    return true;
}
