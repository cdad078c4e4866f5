/* Socket: the unix socket that a worker listens on. */
#ifndef PUNIT_LIB_BASE_SOCKET_H
#define PUNIT_LIB_BASE_SOCKET_H

/* Listens on `path` (mode 0660). A socket that a dead process left there is replaced; one that
 * somebody answers on is left alone. -1 after a log line that says why. */
int punit_socket_listen(const char *path);

#endif
