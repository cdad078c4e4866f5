#include "punitctl/user_name.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "lib/base/email.h"
#include "lib/base/pepper.h"
#include "lib/base/uuid.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/process.h"


static const char *
lower(const char *name)
{
    char *copy = pool_printf("%s", name);

    for (char *c = copy; *c != '\0'; c++) {
        *c = (char) tolower((unsigned char) *c);
    }
    return copy;
}


/* The keyed hash of an address as a bytea literal, as the auth worker makes it. */
static const char *
name_hash(const unit_t *unit, const char *address)
{
    const char    *path = pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE"));
    punit_pepper_t pepper;
    unsigned char  hash[PUNIT_PEPPER_HASH];
    char           hex[2 * PUNIT_PEPPER_HASH + 1];
    int            loaded;

    process_enter_for(path);
    loaded = punit_pepper_load(&pepper, path);
    process_leave();
    if (loaded != 0) {
        if (errno == EINVAL) {
            output_problem("bad-file", "%s: expected %d bytes as hexadecimal digits", path,
                           PUNIT_PEPPER_BYTES);
        } else {
            output_problem("bad-file", "%s: %s", path, strerror(errno));
        }
        return NULL;
    }
    punit_pepper_hash(&pepper, address, hash);
    return pool_printf("\\x%s", sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash)));
}


const char *
user_name_id(const unit_t *unit, PGconn *db, const char *name)
{
    const char *hash, *id;
    char        address[PUNIT_EMAIL_MAX + 1];

    if (punit_uuid_is(name, strlen(name))) {
        return lower(name);
    }
    if (punit_email_normalise(name, strlen(name), address) != NULL) {
        output_problem("no-user", "%s is neither a user's id nor an e-mail address", name);
        return NULL;
    }
    hash = name_hash(unit, address);
    if (hash == NULL) {
        return NULL;
    }
    id = database_value(db,
                        "select user_id from auth.name where hash = $1::bytea"
                        " order by claimed_at, origin_unit limit 1",
                        1, (const char *const[]){ hash });
    if (id == NULL) {
        output_problem("no-user", "this unit's directory has no user %s", name);
    }
    return id;
}
