/* Reload: the process executes its program again and keeps its socket. Clients that connect
 * meanwhile wait in the socket's queue, and a supervisor sees no death. The new program reads
 * settings, keys and certificates afresh. After an upgrade it is the new version. */
#ifndef PUNIT_LIB_BASE_RELOAD_H
#define PUNIT_LIB_BASE_RELOAD_H

#include <stdbool.h>

/* True if the program can be executed again. It is PUNIT_RUN, the script that started it, or else
 * argv[0]. Otherwise a log line says why not, and the process should go on as it is. */
bool punit_reload_possible(char **argv);

/* Executes it, with the socket (-1: none) as descriptor 0, and with no other descriptor but 1 and
 * 2. `own`: this process has bound the socket, and the next program removes it at its end. Signals
 * that are blocked stay so. Returns after a log line if that fails. */
void punit_reload(int socket, bool own, char **argv);

#endif
