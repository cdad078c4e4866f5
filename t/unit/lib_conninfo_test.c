/* links: workers/lib/pg/conninfo.c workers/lib/base/config.c workers/lib/base/log.c */
/* links: workers/lib/base/clock.c */
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/config.h"
#include "lib/pg/conninfo.h"

static const punit_identity_t eu = { "eu", "/tls/unit.pem", "/tls/unit.key", "/tls/ca.pem" };
static const punit_identity_t nothing;

/* What punitctl 0.1.0 wrote into punit.peer. */
#define OF_OLD                                                                          \
    "host=us hostaddr=127.0.0.1 port=5432 dbname=punit user=punit_peer_eu"              \
    " sslmode=verify-full sslcert=/old.pem sslkey=/old.key sslrootcert=/oldca.pem"      \
    " connect_timeout=60 keepalives_idle=50 keepalives_interval=20 keepalives_count=30" \
    " tcp_user_timeout=100000"


/* What a connection by this conninfo uses, as libpq says. Freed by the next call. */
static const char *
used(const char *conninfo, const char *keyword)
{
    static PQconninfoOption *options;
    PGconn                  *pg = PQconnectStart(conninfo);

    PQconninfoFree(options);
    options = PQconninfo(pg);
    PQfinish(pg);
    assert_non_null(options);

    for (PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0) {
            return o->val;
        }
    }

    fail_msg("libpq has no %s", keyword);
    return NULL;
}


static void
check_timeouts(const char *pg, const punit_identity_t *self)
{
    static const char *const set[][2] = {
        { "connect_timeout", "5" },    { "keepalives", "1" },
        { "keepalives_idle", "5" },    { "keepalives_interval", "2" },
        { "keepalives_count", "3" },   { "tcp_user_timeout", "10000" },
        { "client_encoding", "UTF8" },
    };
    char *conninfo = punit_conninfo_peer(pg, self, "test", NULL);

    assert_non_null(conninfo);

    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
        assert_string_equal(used(conninfo, set[i][0]), set[i][1]);
    }

    free(conninfo);
}


static void
libpq_gets_one_set_of_timeouts_whatever_punit_peer_says(void **state)
{
    (void) state;
    check_timeouts("host=us hostaddr=127.0.0.1 port=1", &eu);
    check_timeouts(OF_OLD, &eu);
    check_timeouts(OF_OLD, &nothing);
    check_timeouts("postgresql://us:1/punit?tcp_user_timeout=1&keepalives=0", &eu);
}


static void
a_second_pass_changes_nothing(void **state)
{
    char *stored = punit_conninfo_peer("host=us hostaddr=127.0.0.1 port=1", &eu, NULL, NULL);
    char *again = punit_conninfo_peer(stored, &nothing, NULL, NULL);

    (void) state;
    assert_string_equal(stored, again);
    free(stored);
    free(again);
}


static void
what_punit_peer_leaves_out_is_this_units(void **state)
{
    char *conninfo = punit_conninfo_peer("host=us hostaddr=127.0.0.1 port=1", &eu, NULL, NULL);

    (void) state;
    assert_string_equal(used(conninfo, "host"), "us");
    assert_string_equal(used(conninfo, "dbname"), "punit");
    assert_string_equal(used(conninfo, "user"), "punit_peer_eu");
    assert_string_equal(used(conninfo, "sslmode"), "verify-full");
    assert_string_equal(used(conninfo, "sslcert"), "/tls/unit.pem");
    assert_string_equal(used(conninfo, "sslkey"), "/tls/unit.key");
    assert_string_equal(used(conninfo, "sslrootcert"), "/tls/ca.pem");
    free(conninfo);
}


static void
what_punit_peer_says_counts(void **state)
{
    char *conninfo = punit_conninfo_peer(OF_OLD " sslmode=disable dbname=other", &eu, NULL, NULL);

    (void) state;
    assert_string_equal(used(conninfo, "dbname"), "other");
    assert_string_equal(used(conninfo, "sslmode"), "disable");
    assert_string_equal(used(conninfo, "sslcert"), "/old.pem");
    free(conninfo);
}


static void
the_programs_session_counts_before_punit_peer(void **state)
{
    char *conninfo = punit_conninfo_peer("host=us application_name=x options='-c jit=on'", &eu,
                                         "punit-mover", "-c search_path= -c jit=off");

    (void) state;
    assert_string_equal(used(conninfo, "application_name"), "punit-mover");
    assert_string_equal(used(conninfo, "options"), "-c search_path= -c jit=off");
    free(conninfo);
}


static void
another_role_changes_nothing_else(void **state)
{
    char *pg = punit_conninfo_peer("host=us hostaddr=127.0.0.1 port=1", &eu, NULL, NULL);
    char *conninfo = punit_conninfo_as(pg, "punit_stream_eu");
    char *back = punit_conninfo_as(conninfo, "punit_peer_eu");

    (void) state;
    assert_string_equal(used(conninfo, "user"), "punit_stream_eu");
    assert_string_equal(used(conninfo, "sslcert"), "/tls/unit.pem");
    assert_string_equal(used(conninfo, "connect_timeout"), "5");
    assert_string_equal(back, pg);
    assert_null(punit_conninfo_as("host='", "punit_stream_eu"));
    free(pg);
    free(conninfo);
    free(back);
}


static void
values_are_quoted(void **state)
{
    const punit_identity_t odd = { "eu", "/a b/it's\\.pem", NULL, NULL };
    char                  *conninfo = punit_conninfo_peer("host=us", &odd, NULL, NULL);

    (void) state;
    assert_string_equal(used(conninfo, "sslcert"), "/a b/it's\\.pem");
    free(conninfo);
}


static void
a_malformed_conninfo_gives_nothing(void **state)
{
    (void) state;
    assert_null(punit_conninfo_peer("host=us no_such_option=1", &eu, NULL, NULL));
    assert_null(punit_conninfo_peer("host", &eu, NULL, NULL));
}


static void
the_own_database_has_a_short_timeout_and_no_search_path(void **state)
{
    (void) state;
    punit_config.pg = "host=/nonexistent port=1 dbname=punit";
    punit_config.deadline_ms = 1500;

    char *conninfo = punit_conninfo_own("punit_auth", "auth");

    assert_string_equal(used(conninfo, "user"), "punit_auth");
    assert_string_equal(used(conninfo, "application_name"), "auth");
    assert_string_equal(used(conninfo, "connect_timeout"), "2");
    assert_non_null(strstr(used(conninfo, "options"), "-c search_path= "));
    assert_non_null(strstr(used(conninfo, "options"), "-c statement_timeout=1500 "));
    free(conninfo);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libpq_gets_one_set_of_timeouts_whatever_punit_peer_says),
        cmocka_unit_test(a_second_pass_changes_nothing),
        cmocka_unit_test(what_punit_peer_leaves_out_is_this_units),
        cmocka_unit_test(what_punit_peer_says_counts),
        cmocka_unit_test(the_programs_session_counts_before_punit_peer),
        cmocka_unit_test(another_role_changes_nothing_else),
        cmocka_unit_test(values_are_quoted),
        cmocka_unit_test(a_malformed_conninfo_gives_nothing),
        cmocka_unit_test(the_own_database_has_a_short_timeout_and_no_search_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
