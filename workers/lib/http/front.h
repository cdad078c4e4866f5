/* Front: the FastCGI connections that NGINX, the front, has open to a service, one for each thread.
 *
 * A kept connection may carry the next request at any moment. If the service closed it, the request
 * would be lost. So only the front closes. The service asks it to by an empty record of standard
 * error: a front that keeps the connection for later finds it readable, and closes it. A front that
 * has just sent a request skips the record, gets its answer, and is asked again. */
#ifndef PUNIT_LIB_HTTP_FRONT_H
#define PUNIT_LIB_HTTP_FRONT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct punit_front punit_front_t;

/* For so many threads. NULL: no memory or no descriptors. */
punit_front_t *punit_front_create(int listener, int threads);

/* ---- by the thread of this number */

/* Waits for a connection, which the thread serves and closes. -1: the service takes no more. */
int punit_front_accept(punit_front_t *front, int thread);

/* The connection is closed. */
void punit_front_closed(punit_front_t *front, int thread);

/* A request of the connection has been read, and then: it has been answered. */
void punit_front_begin(punit_front_t *front, int thread);
void punit_front_end(punit_front_t *front, int thread);

/* ---- by the thread that ends the service */

/* Asks the front to close each connection, now or after the answer. New ones are still taken. */
void punit_front_leave(punit_front_t *front);

/* Takes no more connections. They stay in the queue of the socket. */
void punit_front_shut(punit_front_t *front);

/* Waits until the connections from before punit_front_leave are closed. */
bool punit_front_wait_old(punit_front_t *front, int64_t ms);

/* Waits until no connection is open. */
bool punit_front_wait_closed(punit_front_t *front, int64_t ms);

/* Waits until no request has run for `quiet` ms, with connections open or not. */
bool punit_front_wait_quiet(punit_front_t *front, int64_t ms, int64_t quiet);

/* How many requests run. */
int punit_front_running(punit_front_t *front);

#endif
