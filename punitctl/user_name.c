#include "punitctl/user_name.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"

#define KEY_BYTES 32


static bool
is_uuid(const char *name)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof(shape); i++) {
        if (shape[i] == 'x' ? !isxdigit((unsigned char) name[i]) : name[i] != shape[i]) {
            return false;
        }
    }
    return true;
}


static const char *
lower(const char *name)
{
    char *copy = pool_printf("%s", name);

    for (char *c = copy; *c != '\0'; c++) {
        *c = (char) tolower((unsigned char) *c);
    }
    return copy;
}


/* bytea literal of the keyed hash, as the auth worker makes it:
 * HMAC-SHA256(pepper, address in lower case). */
static const char *
name_hash(const unit_t *unit, const char *address)
{
    const char    *path = pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE"));
    const char    *hex = file_read(path, NULL);
    unsigned char  digest[EVP_MAX_MD_SIZE];
    unsigned       n = 0;
    unsigned char *key;
    char          *literal = "\\x";
    long           length = 0;

    if (hex == NULL) {
        return NULL;
    }
    key = OPENSSL_hexstr2buf(pool_printf("%.*s", (int) strcspn(hex, " \r\n"), hex), &length);
    if (key != NULL && length == KEY_BYTES) {
        HMAC(EVP_sha256(), key, KEY_BYTES, (const unsigned char *) address, strlen(address), digest,
             &n);
    }
    OPENSSL_clear_free(key, (size_t) length);
    if (n == 0) {
        output_error("%s: expected %d bytes as hexadecimal digits", path, KEY_BYTES);
        return NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        literal = pool_printf("%s%02x", literal, digest[i]);
    }
    return literal;
}


const char *
user_name_id(const unit_t *unit, PGconn *db, const char *name)
{
    const char *hash, *id;

    if (is_uuid(name)) {
        return lower(name);
    }
    if (strchr(name, '@') == NULL) {
        output_error("%s is neither a user's id nor an e-mail address", name);
        return NULL;
    }
    hash = name_hash(unit, lower(name));
    if (hash == NULL) {
        return NULL;
    }
    id = database_value(db,
                        "select user_id from auth.name where hash = $1::bytea"
                        " order by claimed_at, origin_unit limit 1",
                        1, (const char *const[]){ hash });
    if (id == NULL) {
        output_error("this unit's directory has no user %s", name);
    }
    return id;
}
