/* Socket: the unix socket that a worker listens on. A supervisor or the former program of the
 * process may have bound it. Then it is descriptor 0, FastCGI's FCGI_LISTENSOCK_FILENO, or the
 * first of systemd's (sd_listen_fds(3)). */
#ifndef PUNIT_LIB_BASE_SOCKET_H
#define PUNIT_LIB_BASE_SOCKET_H

#include <stdbool.h>

/* Listens on `path` (mode 0660). Replaces the socket of a dead process, but not one that a process
 * answers on. -1 after a log line with the reason. */
int punit_socket_listen(const char *path);

/* In the environment after a reload: the process itself has bound the socket that it has. */
#define PUNIT_SOCKET_OWN "PUNIT_SOCKET_OWN"

/* The unix socket of this type (SOCK_STREAM, SOCK_DGRAM) that the program was started with: bound,
 * and listening if it is a stream. It does not block, and no program that is executed gets it.
 * -1: there is none. Unless *own, it is a supervisor's, and a successor will serve it. */
int punit_socket_inherited(int type, bool *own);

#endif
