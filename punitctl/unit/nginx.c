#include "punitctl/unit/nginx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/nginx_admin.h"
#include "punitctl/unit/nginx_public.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/services.h"
#include "punitctl/unit/template.h"

/* Kept FastCGI connections of all NGINX workers to one service. Each holds a thread of the service
 * (64 of them, PUNIT_THREADS). The threads that are left serve bursts. */
#define KEPT_TOGETHER 32

/* NGINX worker processes of a unit, unless PUNIT_NGINX_WORKERS says. */
#define WORKERS_OTHERWISE "2"

/* Files of conf/ that NGINX reads as they are. */
static const char *const copied[] = {
    "punit_fastcgi_params",
    "punit_proxy_params",
};


const char *
nginx_program(void)
{
    static const char *const places[] = {
        "/usr/sbin/nginx",
        "/usr/local/sbin/nginx",
        "/usr/local/nginx/sbin/nginx",
    };
    const char *given = getenv("PUNIT_NGINX");

    if (given != NULL && *given != '\0') {
        return given;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    output_problem("not-installed", "no nginx found; install the package nginx");
    return NULL;
}


bool
nginx_is(int major, int minor, int patch)
{
    const char *program = nginx_program();
    const char *said =
        program != NULL ? process_output((const char *const[]){ program, "-v", NULL }) : NULL;
    const char *slash = said != NULL ? strchr(said, '/') : NULL;
    int         has[3] = { 0 };

    if (slash == NULL || sscanf(slash, "/%d.%d.%d", &has[0], &has[1], &has[2]) != 3) {
        return false;
    }
    return (has[0] * 1000 + has[1]) * 1000 + has[2] >= (major * 1000 + minor) * 1000 + patch;
}


static const char *
workers_of(const unit_t *unit)
{
    const char *workers = unit_setting(unit, "PUNIT_NGINX_WORKERS");

    return workers != NULL ? workers : WORKERS_OTHERWISE;
}


static file_result_t
write_main(const unit_t *unit)
{
    const char            *level = unit_setting(unit, "PUNIT_NGINX_LOG_LEVEL");
    const template_value_t values[] = {
        { "MODULE", installation_module() },
        { "PUNIT_NGINX_LOG_LEVEL", level != NULL ? level : "notice" },
        { "PUNIT_NGINX_WORKERS", workers_of(unit) },
        { NULL, NULL },
    };

    return template_write(unit, "nginx/main.conf", values, "nginx/unit/main.conf", 0644);
}


/* The servers of a list in the form of PUNIT_GRID, as an upstream. */
static const char *
grid_upstream(const unit_t *unit, const char *name, const char *setting)
{
    const char *list = unit_setting(unit, setting);
    char       *rest = pool_printf("%s", list != NULL ? list : "");
    const char *servers = "";
    char       *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            servers = pool_printf("%s    server %s;\n", servers, word);
        }
    }
    return template_render(unit, "nginx/http-grid.conf",
                           (const template_value_t[]){
                               { "GRID", name },
                               { "SERVERS", servers },
                               { NULL, NULL },
                           });
}


static const char *
service_upstreams(const unit_t *unit, const service_t *services, size_t count)
{
    long        workers = strtol(workers_of(unit), NULL, 10);
    long        kept = workers > 0 ? KEPT_TOGETHER / workers : KEPT_TOGETHER / 16;
    const char *all = "";

    for (size_t i = 0; i < count && all != NULL; i++) {
        const char *one = template_render(unit, "nginx/http-service.conf",
                                          (const template_value_t[]){
                                              { "SERVICE", services[i].name },
                                              { "KEPT", pool_printf("%ld", kept > 0 ? kept : 1) },
                                              { NULL, NULL },
                                          });

        all = one != NULL ? pool_printf("%s%s", all, one) : NULL;
    }
    return all;
}


static file_result_t
write_http(const unit_t *unit, const service_t *services, size_t count)
{
    const char            *grid = grid_upstream(unit, "punit_grid", "PUNIT_GRID");
    const char            *tokens = grid_upstream(unit, "punit_token_grid", "PUNIT_TOKEN_GRID");
    const char            *upstreams = service_upstreams(unit, services, count);
    const template_value_t values[] = {
        { "GRIDS", grid != NULL && tokens != NULL ? pool_printf("%s%s", grid, tokens) : NULL },
        { "SERVICES", upstreams },
        { "ADMIN_NAMES", nginx_admin_names(unit) },
        { "TO_HTTPS", nginx_public_map(unit) },
        { NULL, NULL },
    };

    return template_write(unit, "nginx/http.conf", values, "nginx/unit/http.conf", 0644);
}


/* nginx.conf: the map from paths to services, and the locations of their health. */
static file_result_t
write_server(const unit_t *unit, const service_t *services, size_t count)
{
    const char *map = "", *names = "";

    for (size_t i = 0; i < count; i++) {
        const char *paths = services[i].paths;
        const char *match =
            pool_printf(strchr(paths, '|') != NULL ? "\"~^/(?:%s)(?:/|$)\"" : "\"~^/%s(?:/|$)\"",
                        paths);

        map = pool_printf("%s        %-32s punit_%s;\n", map, match, services[i].name);
        names = pool_printf("%s%s%s", names, i > 0 ? "|" : "", services[i].name);
    }
    return template_write(unit, "nginx/nginx.conf",
                          (const template_value_t[]){
                              { "SERVICE_MAP", map },
                              { "SERVICE_NAMES", names },
                              { NULL, NULL },
                          },
                          "nginx/nginx.conf", 0644);
}


/* punit_locations: the locations.conf of all services. */
static file_result_t
write_locations(const unit_t *unit, const service_t *services, size_t count)
{
    const char *all = "", *names = "";

    for (size_t i = 0; i < count; i++) {
        const char *path =
            installation_share(pool_printf("workers/%s/locations.conf", services[i].name));
        const char *content = path != NULL ? file_read(path, NULL) : NULL;

        if (content == NULL) {
            return FILE_FAILED;
        }
        all = pool_printf("%s%s%s", all, i > 0 ? "\n" : "", content);
        names = pool_printf("%s%s%s", names, i > 0 ? "|" : "", services[i].name);
    }
    return template_write(unit, "nginx/punit_locations",
                          (const template_value_t[]){
                              { "LOCATIONS", all },
                              { "SERVICE_NAMES", names },
                              { NULL, NULL },
                          },
                          "nginx/punit_locations", 0644);
}


static file_result_t
write_admin(const unit_t *unit)
{
    const char            *address = nginx_admin_address(unit);
    const template_value_t values[] = {
        { "ADMIN_LISTEN", address != NULL ? pool_printf("listen  %s;", address) : "" },
        { NULL, NULL },
    };

    return template_write(unit, "nginx/admin.conf", values, "nginx/unit/admin.conf", 0644);
}


static file_result_t
copy_conf(const unit_t *unit)
{
    file_result_t results[sizeof(copied) / sizeof(*copied)];

    for (size_t i = 0; i < sizeof(copied) / sizeof(*copied); i++) {
        const char *name = pool_printf("conf/%s", copied[i]);
        const char *from = installation_share(name);
        size_t      size;
        const char *content;

        results[i] = FILE_KEPT;
        if (!installation_has(name)) {
            continue;
        }
        content = from != NULL ? file_read(from, &size) : NULL;
        if (content == NULL) {
            return FILE_FAILED;
        }
        results[i] = conffile_write(unit, pool_printf("nginx/%s", copied[i]), content, size, 0644);
    }
    return file_result_of(results, sizeof(results) / sizeof(*results));
}


/* Directories of the operator's own files, which punitctl never writes, and of an ACME client's. */
static bool
make_hooks(const unit_t *unit)
{
    static const char *const hooks[] = { "local/http.d", "local/public.d", "local/locations.d",
                                         "local/admin.d", "acme" };

    for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
        if (file_make_directory(unit_path(unit, "nginx/%s", hooks[i]), 0755) == FILE_FAILED) {
            return false;
        }
    }
    return true;
}


file_result_t
nginx_write(const unit_t *unit)
{
    size_t           count;
    const service_t *services = services_list(&count);

    if (services == NULL || installation_module() == NULL
        || file_make_directory(unit_path(unit, "nginx/unit"), 0750) == FILE_FAILED
        || file_make_directory(unit_path(unit, "nginx/tmp"), 0750) == FILE_FAILED
        || !make_hooks(unit))
    {
        return FILE_FAILED;
    }

    const file_result_t results[] = {
        copy_conf(unit),
        write_server(unit, services, count),
        write_locations(unit, services, count),
        write_main(unit),
        write_http(unit, services, count),
        nginx_public_write(unit, nginx_is(1, 25, 1)),
        write_admin(unit),
        template_write(unit, "nginx/listener.conf", NULL, "nginx/unit/listener.conf", 0644),
        /* nginx.conf includes peers.conf, which only `unit add` fills. */
        file_exists(unit_path(unit, "nginx/unit/peers.conf")) ? FILE_KEPT
                                                              : nginx_write_peers(unit, NULL, 0),
    };

    return file_result_of(results, sizeof(results) / sizeof(*results));
}


file_result_t
nginx_write_peers(const unit_t *unit, const unit_address_t *units, size_t count)
{
    const char *all = "";

    for (size_t i = 0; i < count; i++) {
        const char *one;

        if (strcmp(units[i].id, unit->id) == 0) {
            continue;
        }
        one = template_render(unit, "nginx/peers-peer.conf",
                              (const template_value_t[]){
                                  { "PEER", units[i].id },
                                  { "LISTENER", units[i].listener },
                                  { NULL, NULL },
                              });
        if (one == NULL) {
            return FILE_FAILED;
        }
        all = pool_printf("%s%s", all, one);
    }
    return template_write(unit, "nginx/peers.conf",
                          (const template_value_t[]){ { "PEERS", all }, { NULL, NULL } },
                          "nginx/unit/peers.conf", 0644);
}
