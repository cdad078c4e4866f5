/* A service of a unit, as small as can be: what time the unit's database has.
 *
 * punit_service_run() brings the FastCGI server, the pool of connections to PostgreSQL, GET
 * /clock/health and the log. The statement runs as the role punit_clock. */
#include "lib/http/service.h"

static const punit_route_t routes[] = {
    { "GET", "/clock", PUNIT_PUBLIC,
      .sql = "select json_build_object('unit', $1::text, 'now', punit.rfc3339(now())) as body",
      .bind = { PUNIT_P_UNIT } },
    { 0 },
};

static const punit_service_t service = { .name = "clock", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
