/* Service: a FastCGI program that is a table of routes.
 *
 *     static const punit_service_t service = { "profile", routes };
 *     int main(int argc, char **argv) { return punit_service_run(&service, argc, argv); }
 */
#ifndef PUNIT_LIB_HTTP_SERVICE_H
#define PUNIT_LIB_HTTP_SERVICE_H

#include "lib/base/config.h"
#include "lib/base/log.h"
#include "lib/http/owned.h"
#include "lib/http/problem.h"
#include "lib/http/request.h"
#include "lib/http/route.h"
#include "lib/http/sql.h"

typedef struct {
    const char          *name;   /* schema, role punit_<name>, GET /<name>/health */
    const punit_route_t *routes; /* ends with { 0 } */
    /* Called once after the configuration is read and before any request. False ends the program,
     * after it has logged the reason. NULL: there is nothing to do. */
    bool (*start)(void);
    bool no_store; /* each answer is Cache-Control: no-store, unless it has a max_age */
} punit_service_t;

/* Serves until SIGTERM or SIGINT. Then it takes no more requests, lets the running ones end and
 * returns within 2 s. It goes on while PostgreSQL or memcached is away. Gives the exit code. The
 * one option is --routes, which prints the table and serves nothing: `METHOD path class [role]` in
 * each line.
 *
 * SIGHUP loses no request: the process executes the program again (lib/base/reload.h), and keeps
 * the socket. If the socket was inherited, SIGTERM loses none either, and the exit takes as long as
 * the running requests, at most twice PUNIT_DEADLINE and 2 s. The socket then stays as it is. */
int punit_service_run(const punit_service_t *service, int argc, char **argv);

#endif
