#include "punitctl/unit/supervise.h"

#include <string.h>

#include "lib/base/clock.h"
#include "punitctl/pool.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/services.h"
#include "punitctl/unit/supervise_systemd.h"
#include "punitctl/unit/template.h"

/* The services of conf/services stand between these. */
static const supervise_process_t first[] = {
    { "postgres", "postgres", NULL, "sv/postgres" },
    { "grid", "memcached", "grid.sock", "sv/memcached" },
    { "tokens", "memcached", "tokens.sock", "sv/memcached" },
};
static const supervise_process_t last[] = {
    { "gridd", "punit-gridd", NULL, "sv/gridd" },
    { "mover", "punit-mover", "mover.sock", "sv/service" },
    { "nginx", "nginx", NULL, "sv/nginx" },
};

#define FIRST (sizeof(first) / sizeof(*first))
#define LAST  (sizeof(last) / sizeof(*last))


const supervise_process_t *
supervise_processes(size_t *count)
{
    size_t               n;
    const service_t     *services = services_list(&n);
    supervise_process_t *all;

    if (services == NULL) {
        return NULL;
    }
    all = pool_alloc((FIRST + n + LAST) * sizeof(*all));
    memcpy(all, first, sizeof(first));
    for (size_t i = 0; i < n; i++) {
        all[FIRST + i] = (supervise_process_t){
            .name = services[i].name,
            .program = pool_printf("punit-%s", services[i].name),
            .socket = pool_printf("%s.sock", services[i].name),
            .run = "sv/service",
        };
    }
    memcpy(all + FIRST + n, last, sizeof(last));
    *count = FIRST + n + LAST;
    return all;
}


static file_result_t
write_process(const unit_t *unit, const supervise_process_t *process)
{
    const char            *memory = unit_setting(unit, "PUNIT_GRID_MEMORY");
    const char            *directory = pool_printf("sv/%s", process->name);
    bool                   is_postgres = strcmp(process->name, "postgres") == 0;
    bool                   is_nginx = strcmp(process->name, "nginx") == 0;
    const template_value_t of_head[] = {
        { "USER", process_user() },
        { "PROCESS", process->name },
        { NULL, NULL },
    };
    const template_value_t values[] = {
        { "HEAD", template_render(unit, "sv/head", of_head) },
        { "PROCESS", process->name },
        { "PROGRAMS", installation_programs() },
        { "POSTGRES_PROGRAMS", is_postgres ? cluster_programs(unit) : NULL },
        { "NGINX", is_nginx ? nginx_program() : NULL },
        { "PUNIT_GRID_MEMORY", memory != NULL ? memory : "64" },
        { NULL, NULL },
    };

    if (file_make_directory(unit_path(unit, "%s", directory), 0755) == FILE_FAILED) {
        return FILE_FAILED;
    }
    return template_write(unit, process->run, values, pool_printf("%s/run", directory), 0755);
}


file_result_t
supervise_write(const unit_t *unit)
{
    size_t                     count;
    const supervise_process_t *processes = supervise_processes(&count);
    file_result_t             *results;

    if (processes == NULL
        || file_make_directory(unit_path(unit, "sv/postgres/control"), 0755) == FILE_FAILED)
    {
        return FILE_FAILED;
    }
    results = pool_alloc((count + 1) * sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        results[i] = write_process(unit, &processes[i]);
    }
    results[count] = template_write(unit, "sv/postgres-term", NULL, "sv/postgres/control/t", 0755);
    return file_result_of(results, count + 1);
}


/* By runit's files. The servers also write pid files of their own, which serve any supervisor. */
static supervise_state_t
state_of_runit(const unit_t *unit, const supervise_process_t *process)
{
    const char       *name = process->name;
    supervise_state_t state = {
        .known = file_exists(unit_path(unit, "sv/%s/supervise", name)),
        .pid = process_of(unit_path(unit, "sv/%s/supervise/pid", name), process->program),
        .restarts = -1,
    };

    if (state.pid == 0 && strcmp(name, "postgres") == 0) {
        state.pid = process_of(unit_path(unit, "pg/postmaster.pid"), "postgres");
    } else if (state.pid == 0 && strcmp(name, "nginx") == 0) {
        state.pid = process_of(unit_path(unit, "nginx/nginx.pid"), "nginx");
    }
    if (state.pid > 0) {
        state.since = punit_clock_s() - process_age(state.pid);
    }
    return state;
}


supervise_state_t
supervise_state(const unit_t *unit, const supervise_process_t *process)
{
    supervise_state_t state;

    return supervise_systemd_state(unit, process->name, &state) ? state
                                                                : state_of_runit(unit, process);
}


pid_t
supervise_pid(const unit_t *unit, const char *name)
{
    size_t                     count;
    const supervise_process_t *processes = supervise_processes(&count);

    for (size_t i = 0; processes != NULL && i < count; i++) {
        if (strcmp(processes[i].name, name) == 0) {
            return supervise_state(unit, &processes[i]).pid;
        }
    }
    return 0;
}


bool
supervise_signal(const unit_t *unit, const char *name, int signal_number)
{
    pid_t pid = supervise_pid(unit, name);

    return pid > 0 && process_signal(pid, signal_number);
}
