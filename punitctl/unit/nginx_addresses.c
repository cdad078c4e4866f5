#include "punitctl/unit/nginx_addresses.h"

#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/supervise_systemd.h"

#define LISTEN "listen "


const char *
nginx_addresses_read(const unit_t *unit)
{
    static const char *const files[] = { "public", "listener", "admin" };
    const char              *all = "";

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        const char *path = unit_path(unit, "nginx/unit/%s.conf", files[i]);
        char       *rest = file_exists(path) ? file_read(path, NULL) : NULL;
        const char *line;

        while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
            if (strncmp(line, LISTEN, strlen(LISTEN)) == 0) {
                line += strlen(LISTEN);
                line += strspn(line, " ");
                all = pool_printf("%s%.*s\n", all, (int) strcspn(line, " ;"), line);
            }
        }
    }
    return all;
}


void
nginx_addresses_tell(const unit_t *unit, const char *before)
{
    if (*before == '\0' || strcmp(before, nginx_addresses_read(unit)) == 0
        || !supervise_systemd(unit)) {
        return;
    }
    output_line("systemd holds the former addresses of NGINX. To change that, run as root:");
    output_line("    systemctl daemon-reload");
    output_line("    systemctl stop punit-nginx.socket punit-nginx");
    output_line("    systemctl start punit-nginx.socket punit-nginx");
}
