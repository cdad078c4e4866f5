/*
 * The processes of the unit, and the addresses where they listen.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "punitctl/doctor/doctor.h"
#include "punitctl/pool.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/unit/supervise_systemd.h"


/* A service that systemd ended by a signal, of its sandbox for example, has that as its result. */
static bool
look_at(doctor_t *doctor, const supervise_process_t *process)
{
    supervise_state_t state = supervise_state(doctor->unit, process);
    const char       *result = state.result != NULL ? state.result : "success";

    if (state.pid == 0) {
        doctor_say(doctor, DOCTOR_FAIL,
                   supervise_systemd(doctor->unit)
                       ? "systemctl start punit.target; its log says why it ended"
                       : pool_printf("start it; log/%s.log says why it ended", process->name),
                   "%s does not run%s%s", process->name, strcmp(result, "success") != 0 ? ", " : "",
                   strcmp(result, "success") != 0 ? result : "");
    } else if (strcmp(result, "success") != 0) {
        doctor_say(doctor, DOCTOR_FAIL, "its log says what it did", "%s ended by %s", process->name,
                   result);
    }
    return state.pid > 0 && strcmp(result, "success") == 0;
}


void
doctor_processes(doctor_t *doctor)
{
    size_t                     count, well = 0;
    const supervise_process_t *processes = supervise_processes(&count);

    for (size_t i = 0; processes != NULL && i < count; i++) {
        well += look_at(doctor, &processes[i]);
    }
    if (processes != NULL && well == count) {
        doctor_say(doctor, DOCTOR_OK, NULL, "all %zu run", count);
    }
}


/* Of "host:port", "[v6]:port" or "name:port". NULL with *reason set. */
static struct addrinfo *
resolve(const char *address, const char **reason)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    const char           *colon = strrchr(address, ':');
    struct addrinfo      *found = NULL;
    size_t                n = colon != NULL ? (size_t) (colon - address) : 0;
    int                   rc;

    if (colon == NULL) {
        *reason = "it has no port";
        return NULL;
    }
    rc = n >= 2 && address[0] == '[' && address[n - 1] == ']'
             ? getaddrinfo(pool_copy(address + 1, n - 2), colon + 1, &hints, &found)
             : getaddrinfo(pool_copy(address, n), colon + 1, &hints, &found);
    if (rc != 0) {
        *reason = gai_strerror(rc);
        return NULL;
    }
    return found;
}


/* 0, or the error of connect(2) or bind(2). */
static int
attempt(const struct addrinfo *to, int (*call)(int, const struct sockaddr *, socklen_t))
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, error;

    if (fd < 0) {
        return errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    error = call(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    return error;
}


/* The address of a process that runs must be heard. That of another must be free. */
static void
look_at_address(doctor_t *doctor, const char *setting, const char *process)
{
    const char      *address = unit_setting(doctor->unit, setting);
    const char      *reason = NULL;
    struct addrinfo *to = address != NULL ? resolve(address, &reason) : NULL;
    bool             runs = supervise_pid(doctor->unit, process) > 0;
    int              heard, bound;

    if (address == NULL || *address == '\0' || strcmp(address, "off") == 0) {
        return;
    }
    if (to == NULL) {
        doctor_say(doctor, DOCTOR_FAIL, pool_printf("correct %s in unit.env", setting), "%s: %s",
                   address, reason);
        return;
    }
    heard = attempt(to, connect);
    bound = heard != 0 ? attempt(to, bind) : EADDRINUSE;
    freeaddrinfo(to);
    if (heard == 0 && runs) {
        doctor_say(doctor, DOCTOR_OK, NULL, "%s: %s listens", address, process);
    } else if (heard == 0) {
        doctor_say(doctor, DOCTOR_FAIL,
                   pool_printf("`ss -ltnp` names the program; stop it or change %s", setting),
                   "%s: another program listens there, and %s does not run", address, process);
    } else if (bound == EADDRNOTAVAIL) {
        doctor_say(doctor, DOCTOR_FAIL,
                   pool_printf("give the machine the address, or change %s", setting),
                   "%s is no address of this machine", address);
    } else if (runs) {
        doctor_say(doctor, DOCTOR_FAIL, pool_printf("see %s", supervise_log(doctor->unit, process)),
                   "%s: %s runs and does not listen there", address, process);
    } else {
        doctor_say(doctor, DOCTOR_OK, NULL, "%s: free for %s", address, process);
    }
}


void
doctor_ports(doctor_t *doctor)
{
    look_at_address(doctor, "PUNIT_HTTP", "nginx");
    look_at_address(doctor, "PUNIT_HTTPS", "nginx");
    look_at_address(doctor, "PUNIT_LISTENER", "nginx");
    look_at_address(doctor, "PUNIT_ADMIN", "nginx");
    look_at_address(doctor, "PUNIT_PG_LISTEN", "postgres");
}
