/* links: workers/auth/password/argon.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/password/argon.h"

static void
a_password_verifies_against_its_hash_alone(void **state)
{
    argon_t *pool = argon_start(1, 4);
    char     hash[ARGON_STR];

    assert_non_null(pool);
    assert_int_equal(argon_hash(pool, "correct horse", 13, hash), ARGON_OK);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_int_equal(argon_verify(pool, hash, "correct horse", 13), ARGON_OK);
    assert_int_equal(argon_verify(pool, hash, "correct horsf", 13), ARGON_MISMATCH);
    assert_false(argon_outdated(hash));
    assert_true(
        argon_outdated("$argon2id$v=19$m=8192,t=2,p=1$"
                       "c29tZXNhbHRzb21lc2FsdA$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY"));
    argon_stop(pool);
}


static void
nobody_has_no_password(void **state)
{
    argon_t *pool = argon_start(1, 4);

    assert_int_equal(argon_verify(pool, NULL, "", 0), ARGON_MISMATCH);
    assert_int_equal(argon_verify(pool, NULL, "correct horse", 13), ARGON_MISMATCH);
    argon_stop(pool);
}


static argon_t   *storm;
static atomic_int done, busy;

static void *
attempt(void *data)
{
    argon_rc_t rc = argon_verify(storm, NULL, "x", 1);
    atomic_fetch_add(rc == ARGON_BUSY ? &busy : &done, 1);
    return NULL;
}


static void
a_full_queue_refuses_at_once(void **state)
{
    pthread_t t[16];

    storm = argon_start(1, 2);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, attempt, NULL), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(done + busy, 16);
    assert_true(busy > 0);
    assert_true(done >= 2);
    argon_stop(storm);
}


static void
a_pool_without_room_is_always_busy(void **state)
{
    argon_t *pool = argon_start(1, 0);
    char     hash[ARGON_STR];

    assert_int_equal(argon_hash(pool, "x", 1, hash), ARGON_BUSY);
    argon_stop(pool);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_verifies_against_its_hash_alone),
        cmocka_unit_test(nobody_has_no_password),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(a_pool_without_room_is_always_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
