/* Reference: the routes that all tables of reference data have. Anyone reads them, a role writes
 * them. `entity` is a table ("sports.sport") whose functions have its name: <entity>_document,
 * _create, _replace and _retire. */
#ifndef PUNIT_LIB_HTTP_REFERENCE_H
#define PUNIT_LIB_HTTP_REFERENCE_H

#include "lib/http/route.h"

/* A list by name. `known` is the view of all units' rows, `columns` those of an item (of `t`), and
 * `name` is t.name with the collation that it is ordered by. */
/* clang-format off */
#define PUNIT_REFERENCE_LIST(list_path, known, columns, name)                                  \
    { "GET", list_path, PUNIT_REFERENCE, .list = true, .cursor = { PUNIT_STRING, PUNIT_UUID }, \
      .sql = "with page as (select row_number() over (order by " name ", t.id) as n,"          \
             " (select row_to_json(i) from (select " columns ") i) as item,"                   \
             " json_build_array(t.name, t.id) as key from " known " t"                         \
             " where t.retired_at is null"                                                     \
             " and ($3::uuid is null or (" name ", t.id) > ($2, $3))"                          \
             " order by " name ", t.id limit $1::int + 1)"                                     \
             " select " PUNIT_PAGE("$1::int"),                                                 \
      .bind = { PUNIT_P_LIMIT, PUNIT_P_CURSOR(0), PUNIT_P_CURSOR(1) } }

/* One row: read, created, replaced and retired. `body` is the table of its members. */
#define PUNIT_REFERENCE_ROW(list_path, entity, writer, body)                                   \
    { "GET", list_path "/{id:uuid}", PUNIT_REFERENCE,                                          \
      .sql = "select " entity "_document(t) as body from " entity " t"                         \
             " where t.id = $1 order by t.origin_unit limit 1",                                \
      .bind = { PUNIT_P_PATH("id") } },                                                        \
                                                                                               \
    { "POST", list_path, PUNIT_REFERENCE, .role = writer, .idempotent = true, .members = body, \
      .sql = "select * from " entity "_create($1, $2, $3, $4)",                                \
      .bind = { PUNIT_P_USER, PUNIT_P_KEY, PUNIT_P_SHA, PUNIT_P_BODY } },                      \
                                                                                               \
    { "PUT", list_path "/{id:uuid}", PUNIT_REFERENCE, .role = writer, .members = body,         \
      .sql = "select * from " entity "_replace($1, $2)",                                       \
      .bind = { PUNIT_P_PATH("id"), PUNIT_P_BODY } },                                          \
                                                                                               \
    { "DELETE", list_path "/{id:uuid}", PUNIT_REFERENCE, .role = writer,                       \
      .sql = "select * from " entity "_retire($1)",                                            \
      .bind = { PUNIT_P_PATH("id") } }
/* clang-format on */

#endif
