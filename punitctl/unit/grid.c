#include "punitctl/unit/grid.h"

#include <libmemcached/memcached.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"


/* The servers of a list, each asked for its version and its items. */
static void
add_servers(const char *grid, const char *list, json_t *all, bool *good)
{
    char *rest = pool_printf("%s", list != NULL ? list : "");
    char *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        memcached_st      *client = memcached_create(NULL);
        const char        *colon = strrchr(word, ':');
        memcached_return_t rc;
        memcached_stat_st *stat;
        bool               up;

        if (*word == '\0' || colon == NULL) {
            memcached_free(client);
            continue;
        }
        if (strncmp(word, "unix:", 5) == 0) {
            memcached_server_add_unix_socket(client, word + 5);
        } else {
            memcached_server_add(client, pool_printf("%.*s", (int) (colon - word), word),
                                 (in_port_t) strtoul(colon + 1, NULL, 10));
        }
        memcached_behavior_set(client, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, 500);
        memcached_behavior_set(client, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 500);
        stat = memcached_stat(client, NULL, &rc);
        up = stat != NULL && rc == MEMCACHED_SUCCESS && stat->pid > 0;
        *good = *good && up;
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "grid", grid,
                                             "server", word, "state", up ? "up" : "down", "items",
                                             (json_int_t) (up ? stat->curr_items : 0), "hits",
                                             (json_int_t) (up ? stat->get_hits : 0), "misses",
                                             (json_int_t) (up ? stat->get_misses : 0)));
        if (stat != NULL) {
            memcached_stat_free(client, stat);
        }
        memcached_free(client);
    }
}


json_t *
grid_state(const unit_t *unit, bool *good)
{
    json_t *all = json_array();

    add_servers("documents", unit_setting(unit, "PUNIT_GRID"), all, good);
    add_servers("tokens", unit_setting(unit, "PUNIT_TOKEN_GRID"), all, good);
    return all;
}
