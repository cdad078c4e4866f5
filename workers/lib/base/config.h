/* Configuration: environment variables (systemd's EnvironmentFile is the file), read once at start.
 */
#ifndef PUNIT_LIB_BASE_CONFIG_H
#define PUNIT_LIB_BASE_CONFIG_H

#include <stdbool.h>

typedef struct {
    const char *service; /* "profile": set by the program, no variable */
    const char *unit;    /* PUNIT_UNIT, [a-z0-9-]{1,32}, required */
    const char *dir;     /* PUNIT_DIR */
    const char *socket;  /* PUNIT_SOCKET: FastCGI unix socket */
    const char *pg;      /* PUNIT_PG: conninfo without user */
    const char *pg_user; /* "punit_<service>" */
    const char *grid; /* PUNIT_GRID: "unix:/path" or "host:port", separated by spaces; "" = none */
    const char *token_grid; /* PUNIT_TOKEN_GRID */
    const char *keys;       /* PUNIT_KEYS: public keys of all units */
    const char *private;    /* PUNIT_PRIVATE: own keys, pepper */
    const char *issuer;     /* PUNIT_ISSUER, default "punit" */
    const char *audience;   /* PUNIT_AUDIENCE, default "punit" */
    int threads;     /* PUNIT_THREADS, default 64: NGINX workers x keepalive + wanted concurrency */
    int pg_pool;     /* PUNIT_PG_POOL, default 16, always below threads */
    int deadline_ms; /* PUNIT_DEADLINE, default 5s: one request, waits included */
    int log_level;   /* PUNIT_LOG_LEVEL error|warn|info|debug, default info */
} punit_config_t;

/* The only global of the library: written by punit_config_load before any thread runs. */
extern punit_config_t punit_config;

/* Reads the environment for the program `service`. False after a log line that names the variable,
 * its value and what was expected. */
bool punit_config_load(const char *service);

/* A variable that only one program has. `fallback` when it is unset or empty. */
const char *punit_config_text(const char *name, const char *fallback);

/* The same for a time, in milliseconds: "500ms", "10s", "10m", "2h". A bare number is seconds. A
 * malformed value is logged and gives the fallback. */
long punit_config_time(const char *name, long fallback_ms);

/* The same for a whole number within [min, max]. */
long punit_config_number(const char *name, long fallback, long min, long max);

/* "10s" -> 10000. -1 if malformed. */
long punit_config_time_parse(const char *text);

#endif
