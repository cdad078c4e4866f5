#include "lib/base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

punit_config_t punit_config = { .log_level = PUNIT_LOG_INFO };

typedef struct {
    const char  *name;
    const char **field;
    const char  *fallback; /* NULL: required */
} text_t;

static const text_t texts[] = {
    { "PUNIT_UNIT", &punit_config.unit, NULL },
    { "PUNIT_PG", &punit_config.pg, NULL },
    { "PUNIT_SOCKET", &punit_config.socket, "" },
    { "PUNIT_DIR", &punit_config.dir, "" },
    { "PUNIT_GRID", &punit_config.grid, "" },
    { "PUNIT_TOKEN_GRID", &punit_config.token_grid, "" },
    { "PUNIT_KEYS", &punit_config.keys, "" },
    { "PUNIT_PRIVATE", &punit_config.private, "" },
    { "PUNIT_ISSUER", &punit_config.issuer, "punit" },
    { "PUNIT_AUDIENCE", &punit_config.audience, "punit" },
};

static const char *const log_levels[] = { "error", "warn", "info", "debug" };


static void
complain(const char *name, const char *value, const char *expected)
{
    char quoted[256];

    punit_log(PUNIT_LOG_ERROR, "configuration", "variable=%s value=%s expected=\"%s\"", name,
              punit_log_quote(quoted, sizeof(quoted), value), expected);
}


static bool
unit_is_valid(const char *unit)
{
    size_t len = strlen(unit);

    return len >= 1 && len <= 32 && strspn(unit, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}


const char *
punit_config_text(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : fallback;
}


long
punit_config_time_parse(const char *text)
{
    static const struct {
        const char *suffix;
        long        ms;
    } units[] = {
        { "", 1000 },   { "ms", 1 },      { "s", 1000 },
        { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
    };

    if (*text < '0' || *text > '9') {
        return -1;
    }

    char *end;

    errno = 0;
    long n = strtol(text, &end, 10);

    if (errno != 0) {
        return -1;
    }

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            return n > LONG_MAX / units[i].ms ? -1 : n * units[i].ms;
        }
    }

    return -1;
}


long
punit_config_time(const char *name, long fallback_ms)
{
    const char *value = punit_config_text(name, NULL);

    if (value == NULL) {
        return fallback_ms;
    }

    long ms = punit_config_time_parse(value);

    if (ms < 0) {
        complain(name, value, "a time such as 500ms, 10s or 10m");
        return fallback_ms;
    }

    return ms;
}


long
punit_config_number(const char *name, long fallback, long min, long max)
{
    const char *value = punit_config_text(name, NULL);

    if (value == NULL) {
        return fallback;
    }

    char *end;

    errno = 0;
    long n = strtol(value, &end, 10);

    if (errno != 0 || end == value || *end != '\0' || n < min || n > max) {
        char expected[80];

        snprintf(expected, sizeof(expected), "a whole number from %ld to %ld", min, max);
        complain(name, value, expected);
        return fallback;
    }

    return n;
}


static int
log_level(void)
{
    const char *value = punit_config_text("PUNIT_LOG_LEVEL", "info");

    for (int i = 0; i < (int) (sizeof(log_levels) / sizeof(log_levels[0])); i++) {
        if (strcmp(value, log_levels[i]) == 0) {
            return i;
        }
    }

    complain("PUNIT_LOG_LEVEL", value, "error, warn, info or debug");
    return PUNIT_LOG_INFO;
}


bool
punit_config_load(const char *service)
{
    punit_config.service = service;
    punit_config.log_level = log_level();

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i].field = punit_config_text(texts[i].name, texts[i].fallback);

        if (*texts[i].field == NULL) {
            complain(texts[i].name, NULL, "a value");
            return false;
        }
    }

    if (!unit_is_valid(punit_config.unit)) {
        complain("PUNIT_UNIT", punit_config.unit, "[a-z0-9-]{1,32}");
        return false;
    }

    punit_config.threads = (int) punit_config_number("PUNIT_THREADS", 64, 2, 900);
    punit_config.pg_pool = (int) punit_config_number("PUNIT_PG_POOL", 16, 1, 500);
    punit_config.deadline_ms = (int) punit_config_time("PUNIT_DEADLINE", 5000);

    if (punit_config.deadline_ms < 100 || punit_config.deadline_ms > 600000) {
        complain("PUNIT_DEADLINE", punit_config_text("PUNIT_DEADLINE", NULL), "100ms to 10m");
        return false;
    }

    /* A pool as large as the threads would only move the queue into PostgreSQL. */
    if (punit_config.pg_pool >= punit_config.threads) {
        punit_config.pg_pool = punit_config.threads - 1;
    }

    static char user[64];

    snprintf(user, sizeof(user), "punit_%s", service);
    punit_config.pg_user = user;
    return true;
}
