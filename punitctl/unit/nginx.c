#include "punitctl/unit/nginx.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/pool.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/process.h"

#define HEAD "# written by punitctl\n"

/* Kept FastCGI connections of all NGINX workers to one service. Each pins a
 * thread of the service (64 of them, PUNIT_THREADS), so the rest is what is
 * left for bursts. */
#define KEPT_TOGETHER 32

/* NGINX worker processes of a unit; PUNIT_NGINX_WORKERS. */
#define WORKERS_OTHERWISE "2"

static const char *const services[] = {
    "auth", "profile", "training", "metrics", "sports", "social",
};

/* Files of conf/ that an NGINX reads. */
static const char *const copied[] = {
    "nginx.conf",
    "punit_locations",
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

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    output_error("no nginx found; install the package nginx");
    return NULL;
}


static file_result_t
merge(file_result_t all, file_result_t one)
{
    if (all == FILE_FAILED || one == FILE_FAILED) {
        return FILE_FAILED;
    }
    return all == FILE_WRITTEN ? all : one;
}


static file_result_t
write_part(const unit_t *unit, const char *name, const char *content)
{
    return file_write(unit_path(unit, "nginx/unit/%s", name), content, strlen(content), 0644);
}


static const char *
main_part(const unit_t *unit, const char *module)
{
    const char *workers = unit_setting(unit, "PUNIT_NGINX_WORKERS");

    return pool_printf(HEAD "load_module       %s;\n"
                            "pid               %s/nginx/nginx.pid;\n"
                            "error_log         %s/log/nginx.log %s;\n"
                            "worker_processes  %s;\n",
                       module, unit->dir, unit->dir,
                       unit_setting(unit, "PUNIT_NGINX_LOG_LEVEL") != NULL
                           ? unit_setting(unit, "PUNIT_NGINX_LOG_LEVEL")
                           : "notice",
                       workers != NULL ? workers : WORKERS_OTHERWISE);
}


/* The servers of a list as PUNIT_GRID has it, as an upstream. */
static const char *
memcached_upstream(const char *name, const char *list)
{
    char       *rest = pool_printf("%s", list != NULL ? list : "");
    const char *servers = "";
    char       *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            servers = pool_printf("%s    server %s;\n", servers, word);
        }
    }
    return pool_printf("upstream %s {\n%s}\n", name, servers);
}


static const char *
http_part(const unit_t *unit)
{
    const char *workers = unit_setting(unit, "PUNIT_NGINX_WORKERS");
    const char *grid = unit_setting(unit, "PUNIT_GRID");
    const char *token_grid = unit_setting(unit, "PUNIT_TOKEN_GRID");
    long        count = strtol(workers != NULL ? workers : WORKERS_OTHERWISE, NULL, 10);
    long        kept = count > 0 ? KEPT_TOGETHER / count : KEPT_TOGETHER / 16;
    const char *all =
        pool_printf(HEAD "punit_unit        %s;\n"
                         "punit_zone        punit 16m;\n"
                         "punit_state       %s/nginx/state;\n"
                         "punit_keys        %s;\n"
                         "punit_move        unix:%s/sock/mover.sock;\n"
                         "punit_token_grid  punit_token_grid;\n"
                         "\n"
                         "access_log  %s/log/access.log punit buffer=64k flush=1s;\n"
                         "\n"
                         "client_body_temp_path  %s/nginx/tmp/body;\n"
                         "proxy_temp_path        %s/nginx/tmp/proxy;\n"
                         "fastcgi_temp_path      %s/nginx/tmp/fastcgi;\n"
                         "uwsgi_temp_path        %s/nginx/tmp/uwsgi;\n"
                         "scgi_temp_path         %s/nginx/tmp/scgi;\n"
                         "\n"
                         "proxy_ssl_certificate          %s;\n"
                         "proxy_ssl_certificate_key      %s;\n"
                         "proxy_ssl_trusted_certificate  %s;\n"
                         "\n",
                    unit->id, unit->dir, unit_setting(unit, "PUNIT_KEYS"), unit->dir, unit->dir,
                    unit->dir, unit->dir, unit->dir, unit->dir, unit->dir,
                    unit_setting(unit, "PUNIT_TLS_CERT"), unit_setting(unit, "PUNIT_TLS_KEY"),
                    unit_setting(unit, "PUNIT_TLS_CA"));

    all = pool_printf("%s%s%s", all, memcached_upstream("punit_grid", grid),
                      memcached_upstream("punit_token_grid", token_grid));
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
        all = pool_printf("%supstream punit_%s {\n"
                          "    server unix:%s/sock/%s.sock max_fails=0;\n"
                          "    keepalive %ld;\n"
                          "}\n",
                          all, services[i], unit->dir, services[i], kept > 0 ? kept : 1);
    }
    return all;
}


static file_result_t
copy_conf(const unit_t *unit)
{
    file_result_t all = FILE_KEPT;

    for (size_t i = 0; i < sizeof(copied) / sizeof(*copied); i++) {
        const char *from = installation_share(pool_printf("conf/%s", copied[i]));
        size_t      size;
        const char *content = from != NULL ? file_read(from, &size) : NULL;

        if (content == NULL) {
            return FILE_FAILED;
        }
        all = merge(all, file_write(unit_path(unit, "nginx/%s", copied[i]), content, size, 0644));
    }
    return all;
}


file_result_t
nginx_write(const unit_t *unit)
{
    static const char *const directories[] = {
        "nginx/unit",
        "nginx/tmp",
        NULL,
    };
    const char   *module = installation_module();
    file_result_t all;

    if (module == NULL) {
        return FILE_FAILED;
    }
    for (size_t i = 0; directories[i] != NULL; i++) {
        if (file_make_directory(unit_path(unit, "%s", directories[i]), 0750) == FILE_FAILED) {
            return FILE_FAILED;
        }
    }
    all = copy_conf(unit);
    all = merge(all, write_part(unit, "main.conf", main_part(unit, module)));
    all = merge(all, write_part(unit, "http.conf", http_part(unit)));
    all =
        merge(all, write_part(unit, "public.conf",
                              pool_printf(HEAD "listen  %s;\n", unit_setting(unit, "PUNIT_HTTP"))));
    all = merge(all, write_part(unit, "listener.conf",
                                pool_printf(HEAD "listen  %s ssl;\n"
                                                 "server_name             %s;\n"
                                                 "ssl_certificate         %s;\n"
                                                 "ssl_certificate_key     %s;\n"
                                                 "ssl_client_certificate  %s;\n",
                                            unit_setting(unit, "PUNIT_LISTENER"), unit->id,
                                            unit_setting(unit, "PUNIT_TLS_CERT"),
                                            unit_setting(unit, "PUNIT_TLS_KEY"),
                                            unit_setting(unit, "PUNIT_TLS_CA"))));
    /* there must be one to include; unit add writes it */
    if (!file_exists(unit_path(unit, "nginx/unit/peers.conf"))) {
        all = merge(all, nginx_write_peers(unit, NULL, 0));
    }
    return all;
}


file_result_t
nginx_write_peers(const unit_t *unit, const unit_address_t *units, size_t count)
{
    const char *all = HEAD;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].id, unit->id) != 0) {
            all = pool_printf("%spunit_peer %s;\n"
                              "upstream %s {\n"
                              "    server %s max_fails=0;\n"
                              "    keepalive 32;\n"
                              "}\n",
                              all, units[i].id, units[i].id, units[i].listener);
        }
    }
    return write_part(unit, "peers.conf", all);
}


bool
nginx_check(const unit_t *unit)
{
    const char *program = nginx_program();

    if (program == NULL) {
        return false;
    }
    const char *const argv[] = {
        program,
        "-t",
        "-q",
        "-p",
        unit_path(unit, "nginx/"),
        "-e",
        unit_path(unit, "log/nginx.log"),
        "-c",
        "nginx.conf",
        NULL,
    };

    return process_run(argv, NULL);
}


bool
nginx_reload(const unit_t *unit)
{
    pid_t pid = process_of(unit_path(unit, "nginx/nginx.pid"), "nginx");

    if (pid == 0) {
        return true;
    }
    if (!nginx_check(unit)) {
        output_error("NGINX goes on with the configuration it has");
        return false;
    }
    if (kill(pid, SIGHUP) == 0) {
        output_line("told NGINX (pid %d) to read its configuration again", (int) pid);
    }
    return true;
}
