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
    /* Called once after the configuration is read and before any request; false ends the program
     * (it has logged why). NULL = nothing to do. */
    bool (*start)(void);
} punit_service_t;

/* Serves until SIGTERM or SIGINT: then takes no more, lets running requests end and returns within
 * 2 s. PostgreSQL or memcached being away is no reason to end. Gives the exit code. The one option
 * is --routes: prints the table, a line each of `METHOD path class [role]`, and nothing is served.
 */
int punit_service_run(const punit_service_t *service, int argc, char **argv);

#endif
