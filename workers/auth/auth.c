/* punit-auth: names, passwords, sessions and tokens. */
#include "auth/auth.h"

#include <string.h>
#include <unistd.h>

#include "auth/password/password.h"
#include "lib/pg/ownership.h"

#define ARGON_WAITING 16 /* jobs in the queue, about 30 ms each */

#define JWKS_MAX_AGE 60 /* seconds: a new key signs soon after it is shown */
#define DAY_MS       86400000L
#define LIFE_MAX_MS  (36500 * DAY_MS)

auth_t auth;

static char session_life[40];


static const punit_member_t registration[] = {
    { "email", PUNIT_STRING, .required = true, .check = punit_value_check_email },
    { "password", PUNIT_STRING, .required = true, PUNIT_BOUNDS(PASSWORD_MIN, 256) },
    { "name", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 100),
      .check = punit_value_check_printable },
    { 0 },
};

static const punit_member_t credentials[] = {
    { "email", PUNIT_STRING, .required = true, .check = punit_value_check_email },
    { "password", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 256) },
    { 0 },
};

static const punit_member_t refresh_token[] = {
    { "refresh_token", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 200) },
    { 0 },
};

static const punit_member_t passwords[] = {
    { "old", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 256) },
    { "new", PUNIT_STRING, .required = true, PUNIT_BOUNDS(PASSWORD_MIN, 256) },
    { 0 },
};

static const punit_member_t token[] = {
    { "token", PUNIT_STRING, .required = true, PUNIT_BOUNDS(1, 8192) },
    { "token_type_hint", PUNIT_STRING, PUNIT_BOUNDS(1, 100) },
    { 0 },
};

/* Leaves out the sessions that another unit has ended, whose rows are still here. */
static const char sessions[] =
    "with page as ("
    "  select row_number() over (order by s.created_at desc, s.id desc) as n,"
    "         json_build_object('id', s.id, 'created_at', punit.rfc3339(s.created_at),"
    "             'seen_at', punit.rfc3339(s.seen_at), 'expires_at', punit.rfc3339(s.expires_at),"
    "             'client', s.client, 'current', $2 = any (s.jti)) as item,"
    "         json_build_array(s.created_at, s.id) as key"
    "    from auth.session s"
    "   where s.user_id = $1 and s.expires_at > now()"
    "     and not exists (select from auth.ended e where e.subject = s.id and e.kind = 'session')"
    "     and ($4::timestamptz is null or (s.created_at, s.id) < ($4, $5::uuid))"
    "   order by s.created_at desc, s.id desc limit $3::int + 1)"
    "select o.epoch, " PUNIT_PAGE("$3::int") PUNIT_OWNERSHIP_FROM PUNIT_OWNERSHIP_OWNED;


/* RFC 7517. Section 8.5.2 has the media type. */
static punit_problem_t *
jwks(punit_request_t *r, punit_answer_t *a)
{
    (void) r;
    a->type = "application/jwk-set+json";
    a->body = auth.keys->jwks;
    a->max_age = JWKS_MAX_AGE;
    return NULL;
}


static const punit_route_t routes[] = {
    { "POST", "/auth/register", PUNIT_PUBLIC, .members = registration, .handler = register_user },
    { "POST", "/auth/login", PUNIT_PUBLIC, .members = credentials, .handler = login_user },
    { "POST", "/auth/refresh", PUNIT_PUBLIC, .members = refresh_token, .handler = session_refresh },
    /* Not PUNIT_OWNED, since any unit takes it. */
    { "POST", "/auth/logout", PUNIT_PUBLIC, .handler = session_logout },
    { "POST", "/auth/password", PUNIT_OWNED, .members = passwords, .handler = password_change },
    { "GET", "/auth/sessions", PUNIT_OWNED, .list = true, .cursor = { PUNIT_TIMESTAMP, PUNIT_UUID },
      .sql = sessions,
      .bind = { PUNIT_P_USER, PUNIT_P_PARAM("PUNIT_JTI"), PUNIT_P_LIMIT, PUNIT_P_CURSOR(0),
                PUNIT_P_CURSOR(1) } },
    { "DELETE", "/auth/sessions/{id:uuid}", PUNIT_OWNED,
      .sql = "select epoch, status, null as body from auth.end_session($1, $2)",
      .bind = { PUNIT_P_USER, PUNIT_P_PATH("id") } },
    { "GET", "/auth/keys", PUNIT_PUBLIC, .handler = jwks },
    { "POST", "/auth/introspect", PUNIT_PUBLIC, .members = token, .handler = introspect_token },
    { "GET", "/punit/introspect", PUNIT_INTERNAL, .handler = introspect_request },
    { "GET", "/punit/reissue", PUNIT_INTERNAL, .handler = reissue_token },
    { 0 },
};


static bool
refuse_start(const char *what, const char *why)
{
    char quoted[500];

    punit_log(PUNIT_LOG_ERROR, "start", "what=%s why=%s", what,
              punit_log_quote(quoted, sizeof(quoted), why));
    return false;
}


static bool
start(void)
{
    char error[400];
    char file[4096];

    if (punit_config.private == NULL || punit_config.keys == NULL) {
        return refuse_start("PUNIT_PRIVATE", "PUNIT_PRIVATE and PUNIT_KEYS must name directories");
    }

    snprintf(file, sizeof(file), "%s/pepper", punit_config.private);
    if (punit_pepper_load(&auth.pepper, file) != 0) {
        return refuse_start("pepper",
                            "PUNIT_PRIVATE/pepper must be a readable file of 64 hex digits");
    }

    auth.keys = keys_load_signing(punit_config.private, punit_config.unit, error, sizeof(error));
    if (auth.keys == NULL) {
        return refuse_start("signing-keys", error);
    }

    auth.common = common_passwords_load(punit_config_text("PUNIT_COMMON_PASSWORDS", NULL), error,
                                        sizeof(error));
    if (auth.common == NULL) {
        return refuse_start("PUNIT_COMMON_PASSWORDS", error);
    }

    auth.issuer = (access_issuer_t){
        .issuer = punit_config.issuer,
        .audience = punit_config.audience,
        .unit = punit_config.unit,
        .keys = auth.keys,
    };
    auth.arbiters = arbiter_create();
    auth.limits = attempt_limits();

    /* At least the life of an access token, which a login gives in full. */
    long life = punit_config_time("PUNIT_SESSION_LIFE", 90 * DAY_MS);
    long least = ACCESS_TOKEN_LIFE * 1000L;
    snprintf(session_life, sizeof(session_life), "%ld milliseconds",
             life < least         ? least
             : life > LIFE_MAX_MS ? LIFE_MAX_MS
                                  : life);
    auth.session_life = session_life;

    /* Half the processors. The other half serves everything else. */
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    auth.argon =
        argon_start((unsigned) punit_config_number("PUNIT_ARGON_THREADS", cpus > 3 ? cpus / 2 : 1,
                                                   1, 64),
                    (unsigned) punit_config_number("PUNIT_ARGON_WAITING", ARGON_WAITING, 0, 1024));
    if (auth.arbiters == NULL || auth.argon == NULL) {
        return refuse_start("argon", "no memory or no threads");
    }

    return true;
}


static const punit_service_t service = { "auth", routes, start, .no_store = true };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
