/* links: workers/mover/queue/report.c */

/* Lines of the module's datagrams, as the mover parses them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>


#include "mover/queue/report.h"

#define USER "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


static bool
parse(const char *line, report_t *r)
{
    return report_parse(line, strlen(line), r);
}


static void
a_foreign_report_gives_user_owner_epoch_and_count(void **state)
{
    report_t r;

    (void) state;
    assert_true(parse("f " USER " eu 12 3", &r));
    assert_int_equal(r.kind, 'f');
    assert_string_equal(r.user, USER);
    assert_string_equal(r.unit, "eu");
    assert_int_equal(r.epoch, 12);
    assert_int_equal(r.count, 3);
}


static void
a_local_report_gives_user_and_count(void **state)
{
    report_t r;

    (void) state;
    assert_true(parse("l " USER " 7", &r));
    assert_int_equal(r.kind, 'l');
    assert_string_equal(r.user, USER);
    assert_int_equal(r.count, 7);
}


static void
letters_of_a_user_become_lower_case(void **state)
{
    report_t r;

    (void) state;
    assert_true(parse("l 6F9619FF-8B86-D011-B42D-00CF4FC964FF 1", &r));
    assert_string_equal(r.user, USER);
}


static void
what_is_no_report_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "f",
        "l",
        "x " USER " 1",
        "f " USER,
        "f " USER " eu",
        "f " USER " eu 1",
        "f " USER " eu 1 2 3",
        "f " USER " eu -1 2",
        "f " USER " eu 1 x",
        "f " USER "  eu 1 2",
        "f " USER " EU 1 2",
        "f " USER " e'u 1 2",
        "f " USER " 123456789012345678901234567890123 1 2",
        "f 6f9619ff8b86-d011-b42d-00cf4fc964ff0 eu 1 2",
        "l " USER,
        "l " USER " ",
        "l " USER " 1 ",
        "l zf9619ff-8b86-d011-b42d-00cf4fc964ff 1",
        "l " USER " 99999999999999999999",
        "f  " USER " eu 1 2",
    };

    report_t r;

    (void) state;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (parse(lines[i], &r)) {
            fail_msg("accepted: %s", lines[i]);
        }
    }
}


static void
a_line_is_read_no_further_than_its_length(void **state)
{
    report_t r;

    (void) state;
    assert_true(report_parse("l " USER " 12345", 2 + 36 + 3, &r));
    assert_int_equal(r.count, 12);
    assert_false(report_parse("l " USER " 1", 20, &r));
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_report_gives_user_owner_epoch_and_count),
        cmocka_unit_test(a_local_report_gives_user_and_count),
        cmocka_unit_test(letters_of_a_user_become_lower_case),
        cmocka_unit_test(what_is_no_report_is_refused),
        cmocka_unit_test(a_line_is_read_no_further_than_its_length),
    };

    return cmocka_run_group_tests_name("mover_report", tests, NULL, NULL);
}
