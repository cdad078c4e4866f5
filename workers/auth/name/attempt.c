#include "auth/name/attempt.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"

#define MS_MAX 86400000L


/* A time of at least 1 ms, since 0 would be no limit. */
static long
every(const char *name, long fallback_ms)
{
    long ms = punit_config_time(name, fallback_ms);

    return ms < 1 ? 1 : ms > MS_MAX ? MS_MAX : ms;
}


attempt_limits_t
attempt_limits(void)
{
    return (attempt_limits_t){
        .name_burst = punit_config_number("PUNIT_AUTH_NAME_BURST", 10, 1, 1000000),
        .name_every = every("PUNIT_AUTH_NAME_EVERY", 30000),
        .strangers_burst = punit_config_number("PUNIT_AUTH_STRANGERS_BURST", 100, 1, 1000000),
        .strangers_every = every("PUNIT_AUTH_STRANGERS_EVERY", 5000),
        .address_burst = punit_config_number("PUNIT_AUTH_ADDRESS_BURST", 300, 1, 1000000),
        .address_every = every("PUNIT_AUTH_ADDRESS_EVERY", 1000),
    };
}


const char *
attempt_name(punit_request_t *r, const char *hash)
{
    return punit_arena_format(r->arena, "name %s", hash);
}


/* The address of one household or host: an IPv4 address, or the first 64 bits of an IPv6 address
 * (RFC 6177). NULL when the client came by a unix socket. */
static const char *
address_of(punit_request_t *r)
{
    struct in6_addr six;
    struct in_addr  four;
    char            text[INET6_ADDRSTRLEN];

    if (r->client == NULL) {
        return NULL;
    }

    if (inet_pton(AF_INET, r->client, &four) == 1) {
        return r->client;
    }

    if (inet_pton(AF_INET6, r->client, &six) != 1) {
        return NULL;
    }

    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        return punit_arena_copy(r->arena, inet_ntop(AF_INET, &six.s6_addr[12], text, sizeof(text)));
    }

    memset(&six.s6_addr[8], 0, 8);
    return punit_arena_format(r->arena, "%s/64", inet_ntop(AF_INET6, &six, text, sizeof(text)));
}


static const char *
count(punit_request_t *r, long n)
{
    return punit_arena_format(r->arena, "%ld", n);
}


static const char *
milliseconds(punit_request_t *r, long ms)
{
    return punit_arena_format(r->arena, "%ld milliseconds", ms);
}


/* The keyed hash in a key, for the log. */
static const char *
hash_of(const char *who)
{
    return who + sizeof("name ") - 1;
}


punit_problem_t *
attempt_take(punit_request_t *r, const char *who)
{
    const attempt_limits_t *l = &auth.limits;
    PGresult               *rows;
    const char             *values[] = {
                    who,
                    count(r, l->name_burst),
                    milliseconds(r, l->name_every),
                    address_of(r),
                    count(r, l->address_burst),
                    milliseconds(r, l->address_every),
                    count(r, l->strangers_burst),
                    milliseconds(r, l->strangers_every),
    };

    punit_problem_t *problem =
        punit_sql_query(r,
                        "select auth.take_attempt($1, $2::int, $3::interval, $4, $5::int,"
                        " $6::interval, $7::int, $8::interval) as wait",
                        8, values, &rows, NULL);
    if (problem != NULL) {
        return problem;
    }

    const char *text = punit_rows_text(rows, 0, "wait");
    double      wait = text != NULL ? strtod(text, NULL) : 0;
    if (wait <= 0) {
        return NULL;
    }

    punit_log(PUNIT_LOG_INFO, "too-many-attempts", "request=%s client=%s name=%s wait=%.1f",
              r->id != NULL ? r->id : "-", r->client != NULL ? r->client : "-", hash_of(who), wait);
    problem = punit_problem(r->arena, &punit_problem_too_many, NULL);
    problem->retry_after = (int) ceil(wait);
    return problem;
}


void
attempt_return(punit_request_t *r, const char *who, bool right)
{
    const attempt_limits_t *l = &auth.limits;
    PGresult               *rows;
    const char             *values[] = { who, milliseconds(r, l->name_every), address_of(r),
                                         milliseconds(r, l->strangers_every), right ? "t" : "f" };

    /* If that fails, the name has one attempt less for a while. */
    punit_sql_query(r, "select auth.return_attempt($1, $2::interval, $3, $4::interval, $5)", 5,
                    values, &rows, NULL);
}


void
attempt_log(const punit_request_t *r, const char *who)
{
    punit_log(PUNIT_LOG_INFO, "wrong-password", "request=%s client=%s name=%s",
              r->id != NULL ? r->id : "-", r->client != NULL ? r->client : "-", hash_of(who));
}
