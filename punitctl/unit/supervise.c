#include "punitctl/unit/supervise.h"

#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/process.h"

const unit_process_t unit_processes[] = {
    { "postgres", "postgres", NULL },
    { "grid", "memcached", "grid.sock" },
    { "tokens", "memcached", "tokens.sock" },
    { "auth", "punit-auth", "auth.sock" },
    { "profile", "punit-profile", "profile.sock" },
    { "training", "punit-training", "training.sock" },
    { "metrics", "punit-metrics", "metrics.sock" },
    { "sports", "punit-sports", "sports.sock" },
    { "social", "punit-social", "social.sock" },
    { "gridd", "punit-gridd", NULL },
    { "mover", "punit-mover", "mover.sock" },
    { "nginx", "nginx", NULL },
};

const size_t unit_process_count = sizeof(unit_processes) / sizeof(*unit_processes);

/* Nobody waits here for anybody: a process whose database or grid is not there
 * yet comes up by itself when it is. As root, the unit's user runs it. */
static const char head[] = "#!/bin/sh\n"
                           "# written by punitctl; runs under runit's runsv\n"
                           "[ \"$(id -u)\" != 0 ] || exec chpst -u %s \"$0\"\n"
                           "exec >>'%s/log/%s.log' 2>&1\n"
                           "umask 007\n";

/* runsv restarts what ended; a server may have been killed so hard that its
 * children still hold what the next one needs. */
static const char postgres_run[] =
    "read -r pid <'%1$s/pg/postmaster.pid' || pid=none\n"
    "read -r number name state rest </proc/$pid/stat || name=none\n"
    "if [ \"$name\" != '(postgres)' ] || [ \"$state\" = Z ]; then\n"
    "    # a stranger or a zombie has the number: PostgreSQL would not start\n"
    "    [ ! -e \"/proc/$pid\" ] ||\n"
    "        rm -f '%1$s/pg/postmaster.pid' '%1$s'/sock/.s.PGSQL.*.lock\n"
    "    # without a postmaster its children end by themselves; sooner, so that\n"
    "    # the next one finds the shared memory free\n"
    "    for comm in /proc/[0-9]*/comm; do\n"
    "        read -r name <$comm || continue\n"
    "        [ \"$name\" = postgres ] || continue\n"
    "        [ \"${comm%%comm}cwd\" -ef '%1$s/pg' ] || continue\n"
    "        pid=${comm#/proc/}\n"
    "        kill -9 \"${pid%%/comm}\"\n"
    "    done\n"
    "fi 2>/dev/null\n"
    "exec '%2$s/postgres' -D '%1$s/pg'\n";

static const char nginx_run[] =
    "# workers of a master that was killed hold its ports: end them. Theirs is\n"
    "# the process group of this supervisor\n"
    "group=$(cut -d' ' -f5 /proc/$$/stat)\n"
    "for stat in /proc/[0-9]*/stat; do\n"
    "    read -r pid name state parent its rest <$stat 2>/dev/null || continue\n"
    "    [ \"$name\" = '(nginx)' ] && [ \"$its\" = \"$group\" ] && kill -9 $pid\n"
    "done 2>/dev/null\n"
    "# as many connections as may be had; worker_rlimit_nofile alerts if refused\n"
    "most=$(ulimit -H -n)\n"
    "[ \"$most\" != unlimited ] && [ \"$most\" -lt 65536 ] || most=65536\n"
    "ulimit -n \"$most\"\n"
    "exec '%2$s' -p '%1$s/nginx/' -e '%1$s/log/nginx.log' -c nginx.conf"
    " -g 'daemon off;'\n";

static const char memcached_run[] =
    "exec memcached -s '%1$s/sock/%2$s.sock' -a 0660 -m %3$s -c 1024 -t 2"
    " -I 4m\n";

static const char worker_run[] = "set -a\n"
                                 ". '%1$s/unit.env'\n"
                                 "%2$s"
                                 "exec '%3$s/%4$s'\n";

/* PostgreSQL waits for its clients to leave on TERM; INT is what is meant. */
static const char postgres_term[] =
    "#!/bin/sh\n"
    "# runsv sends TERM to stop; PostgreSQL would wait for its clients then\n"
    "read -r pid <supervise/pid && exec kill -INT \"$pid\"\n";


static const char *
script(const unit_t *unit, const unit_process_t *process)
{
    const char *start = pool_printf(head, process_user(), unit->dir, process->name);
    const char *memory = unit_setting(unit, "PUNIT_GRID_MEMORY");
    const char *socket = "";

    if (strcmp(process->name, "postgres") == 0) {
        const char *programs = cluster_programs();

        return programs == NULL
                   ? NULL
                   : pool_printf("%s%s", start, pool_printf(postgres_run, unit->dir, programs));
    }
    if (strcmp(process->name, "nginx") == 0) {
        const char *program = nginx_program();

        return program == NULL
                   ? NULL
                   : pool_printf("%s%s", start, pool_printf(nginx_run, unit->dir, program));
    }
    if (strcmp(process->program, "memcached") == 0) {
        return pool_printf("%s%s", start,
                           pool_printf(memcached_run, unit->dir, process->name,
                                       memory != NULL ? memory : "64"));
    }
    if (process->socket != NULL) {
        socket = pool_printf("PUNIT_SOCKET='%s/sock/%s'\n", unit->dir, process->socket);
    }
    return pool_printf("%s%s", start,
                       pool_printf(worker_run, unit->dir, socket, installation_programs(),
                                   process->program));
}


file_result_t
supervise_write(const unit_t *unit)
{
    file_result_t all = FILE_KEPT, one;

    for (size_t i = 0; i < unit_process_count; i++) {
        const unit_process_t *process = &unit_processes[i];
        const char           *content = script(unit, process);
        const char           *directory = unit_path(unit, "sv/%s", process->name);

        if (content == NULL || file_make_directory(directory, 0755) == FILE_FAILED) {
            return FILE_FAILED;
        }
        one = file_write(pool_printf("%s/run", directory), content, strlen(content), 0755);
        if (one != FILE_FAILED && strcmp(process->name, "postgres") == 0) {
            all = one == FILE_WRITTEN ? FILE_WRITTEN : all;
            one = file_make_directory(pool_printf("%s/control", directory), 0755) == FILE_FAILED
                      ? FILE_FAILED
                      : file_write(pool_printf("%s/control/t", directory), postgres_term,
                                   sizeof(postgres_term) - 1, 0755);
        }
        if (one == FILE_FAILED) {
            return FILE_FAILED;
        }
        all = one == FILE_WRITTEN ? FILE_WRITTEN : all;
    }
    return all;
}


pid_t
supervise_pid(const unit_t *unit, const char *name)
{
    for (size_t i = 0; i < unit_process_count; i++) {
        if (strcmp(unit_processes[i].name, name) == 0) {
            pid_t pid =
                process_of(unit_path(unit, "sv/%s/supervise/pid", name), unit_processes[i].program);

            /* under systemd the servers' own pid files tell */
            if (pid == 0 && strcmp(name, "postgres") == 0) {
                pid = process_of(unit_path(unit, "pg/postmaster.pid"), "postgres");
            } else if (pid == 0 && strcmp(name, "nginx") == 0) {
                pid = process_of(unit_path(unit, "nginx/nginx.pid"), "nginx");
            }
            return pid;
        }
    }
    return 0;
}
