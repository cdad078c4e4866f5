/* Socket: the unix socket that a worker listens on. */
#ifndef PUNIT_LIB_BASE_SOCKET_H
#define PUNIT_LIB_BASE_SOCKET_H

/* Listens on `path` (mode 0660). Replaces the socket of a dead process, but not one that a process
 * answers on. -1 after a log line with the reason. */
int punit_socket_listen(const char *path);

#endif
