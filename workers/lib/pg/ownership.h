/* Ownership: which unit may read and write the rows of a user. The rules stand here once, as parts
 * of SQL statements whose $1 is the user.
 *
 * punit.own has one row for each user that this unit owns or has a copy of.
 * - A unit writes a user's rows only while it owns the user (state OWNED). Every write first takes
 *   PUNIT_OWNERSHIP_FENCE. Without a row from it, the statement must change nothing.
 * - A unit reads the rows while it owns the user. Any other unit may read its copy when the request
 *   is stale ($2), that is while the owner is down. A copy is readable once it is whole (ver >= 0)
 *   and unless the user was erased.
 * - An answer from a copy states its age: the seconds since the copy was known to be true.
 * A statement that gives no row says that this unit may not answer: see lib/http/owned.h. */
#ifndef PUNIT_LIB_PG_OWNERSHIP_H
#define PUNIT_LIB_PG_OWNERSHIP_H

/* The table, as `o`. Joins go between this and the condition. */
#define PUNIT_OWNERSHIP_FROM " from punit.own o"

/* This unit owns the user. */
#define PUNIT_OWNERSHIP_OWNED " where o.user_id = $1 and o.state = 'OWNED'"

/* This unit owns the user, or $2 allows the copy here. */
#define PUNIT_OWNERSHIP_READABLE \
    " where o.user_id = $1"      \
    " and (o.state = 'OWNED' or $2::boolean and o.ver >= 0 and o.state <> 'ERASED')"

/* The age of the copy in seconds, as column age. */
#define PUNIT_OWNERSHIP_AGE "floor(extract(epoch from now() - o.touched_at))::bigint as age"

/* The first CTE of a write. It counts the user's version up, which locks the row of punit.own
 * against a hand-over until the commit. The CTEs that write join `fence`. */
#define PUNIT_OWNERSHIP_FENCE                                                            \
    "with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()" \
    " where user_id = $1 and state = 'OWNED' returning ver, epoch)"

#endif
