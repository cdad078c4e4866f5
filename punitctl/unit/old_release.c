#include "punitctl/unit/old_release.h"

#include <stdio.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/supervise.h"

#define RELEASE    "0.2.0"
#define PEERS_MOST 256


/* peers.conf again, of the peers that it names. */
static file_result_t
note_peers(const unit_t *unit)
{
    const char     *path = unit_path(unit, "nginx/unit/peers.conf");
    unit_address_t *units = pool_alloc(PEERS_MOST * sizeof(*units));
    char           *rest = file_exists(path) ? file_read(path, NULL) : NULL;
    size_t          count = 0;
    char           *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char word[64];

        if (sscanf(line, "punit_peer %63[a-z0-9-];", word) == 1 && count < PEERS_MOST) {
            units[count++] = (unit_address_t){ pool_printf("%s", word), NULL, "", NULL };
        } else if (sscanf(line, " server %63[^ ;]", word) == 1 && count > 0) {
            units[count - 1].listener = pool_printf("%s", word);
        }
    }
    return nginx_write_peers(unit, units, count);
}


bool
old_release_note(const unit_t *now)
{
    unit_t        then = { .id = now->id, .dir = now->dir };
    const unit_t *unit = &then;
    file_result_t all;

    if (conffile_known(now) || !file_exists(unit_path(now, "unit.env"))) {
        return true;
    }
    then.settings = unit_read_settings(unit_path(now, "unit.env"), &then.count);
    if (then.settings == NULL) {
        return false;
    }
    installation_pretend(RELEASE);
    conffile_note_begin();
    all = file_result_of(
        (const file_result_t[]){
            cluster_write(unit),
            nginx_write(unit),
            note_peers(unit),
            supervise_write(unit),
        },
        4);
    installation_pretend(NULL);
    return conffile_note_end(unit) && all != FILE_FAILED;
}
