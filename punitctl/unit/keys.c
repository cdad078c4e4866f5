#include "punitctl/unit/keys.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/key_file.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/fastcgi.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/wait.h"

#define SIGNS_WITHIN_S 20


/* The kid in the name of a file with a public key of `owner` ("": of any unit). NULL: no such name.
 */
static const char *
kid_of(const char *name, const char *owner)
{
    size_t n = strlen(name), suffix = strlen(PUNIT_KEY_FILE_PUBLIC), length = strlen(owner);

    if (n <= suffix || strcmp(name + n - suffix, PUNIT_KEY_FILE_PUBLIC) != 0
        || (length > 0
            && (strncmp(name, owner, length) != 0 || name[length] != '-'
                || name[length + 1 + strspn(name + length + 1, "0123456789")] != '.')))
    {
        return NULL;
    }
    return pool_printf("%.*s", (int) (n - suffix), name);
}


/* The file with the public half. */
static const char *
public_file(const unit_t *unit, const char *kid)
{
    return pool_printf("%s/%s" PUNIT_KEY_FILE_PUBLIC, unit_setting(unit, "PUNIT_KEYS"), kid);
}


static bool
hold(PGconn *db, const char *kid)
{
    return database_run(db,
                        "insert into punit.unit_key_held (origin_unit, kid)"
                        " values (punit.self(), $1) on conflict do nothing",
                        1, (const char *const[]){ kid });
}


/* A key that was rotated before keys had ends gets its end now. */
static bool
end_rotated(const unit_t *unit, PGconn *db)
{
    unsigned long signs =
        signing_key_last(unit_setting(unit, "PUNIT_PRIVATE"), unit->id, PUNIT_KEY_FILE_PRIVATE);

    return signs == 0 || keys_end_older(unit, db, pool_printf("%s-%lu", unit->id, signs));
}


bool
keys_publish(const unit_t *unit)
{
    const char          *directory = unit_setting(unit, "PUNIT_KEYS");
    DIR                 *dir = opendir(directory);
    PGconn              *db = database_open(unit, "postgres", NULL);
    const struct dirent *entry;
    bool                 ok = dir != NULL && db != NULL;

    while (ok && (entry = readdir(dir)) != NULL) {
        const char *kid = kid_of(entry->d_name, unit->id);
        const char *pem =
            kid != NULL ? file_read(pool_printf("%s/%s", directory, entry->d_name), NULL) : NULL;

        if (kid != NULL) {
            ok = pem != NULL
                 && database_run(db,
                                 "insert into punit.unit_key (origin_unit, kid, pem)"
                                 " values (punit.self(), $1, $2)"
                                 " on conflict (origin_unit, kid) do update"
                                 " set pem = excluded.pem"
                                 " where punit.unit_key.pem <> excluded.pem",
                                 2, (const char *const[]){ kid, pem })
                 && hold(db, kid);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    ok = ok && end_rotated(unit, db);
    PQfinish(db);
    return ok;
}


/* The keys of others. held: this unit has said that it accepts the key. */
#define FOREIGN                                                                                  \
    "select k.kid, k.pem, exists (select from punit.unit_key_held h where h.kid = k.kid"         \
    " and h.origin_unit = punit.self()) as held from punit.unit_key k"                           \
    " where k.origin_unit <> punit.self() and k.kid ~ ('^' || k.origin_unit || '-[1-9][0-9]*$')" \
    " and k.kid not in (select kid from punit.over_keys()) order by k.kid"


/* *news: how many of them NGINX may not have read yet. */
static bool
write_keys(const unit_t *unit, const PGresult *keys, int *news)
{
    bool ok = true;

    for (int i = 0; ok && i < PQntuples(keys); i++) {
        const char   *kid = database_field(keys, i, "kid");
        const char   *pem = database_field(keys, i, "pem");
        file_result_t result;

        if (!signing_key_public_valid(pem)) {
            output_problem("key", "key %s is no public key on P-256; left out", kid);
            continue;
        }
        result = file_write(public_file(unit, kid), pem, strlen(pem), 0644);
        if (result == FILE_WRITTEN) {
            output_line("key %s is here now", kid);
        }
        *news += result == FILE_WRITTEN || *database_field(keys, i, "held") != 't';
        ok = result != FILE_FAILED;
    }
    return ok;
}


static bool
hold_keys(PGconn *db, const PGresult *keys)
{
    bool ok = true;

    for (int i = 0; ok && i < PQntuples(keys); i++) {
        ok = !signing_key_public_valid(database_field(keys, i, "pem"))
             || hold(db, database_field(keys, i, "kid"));
    }
    return ok;
}


bool
keys_reload(const unit_t *unit)
{
    supervise_signal(unit, "auth", SIGHUP);
    return nginx_reload(unit);
}


typedef struct {
    const unit_t *unit;
    const char   *kid;
} signer_t;


/* The key set of auth has the keys that it holds the private half of. The last one signs. */
static bool
signs(void *context)
{
    const signer_t *signer = context;
    const char     *set = fastcgi_get(signer->unit, "auth", "/auth/keys");

    return set != NULL && strstr(set, pool_printf("\"kid\":\"%s\"", signer->kid)) != NULL;
}


bool
keys_use(const unit_t *unit, const char *kid)
{
    supervise_signal(unit, "auth", SIGHUP);
    return wait_until(signs, &(signer_t){ unit, kid }, SIGNS_WITHIN_S);
}


/* NGINX reads the keys before a row says that it has them. So the next call finds what a reload
 * that failed left. */
bool
keys_sync(const unit_t *unit, int *changed)
{
    PGconn   *db = database_open(unit, "postgres", NULL);
    PGresult *keys = db != NULL ? database_query(db, NULL, FOREIGN, 0, NULL) : NULL;
    bool      ok;

    *changed = 0;
    ok = keys != NULL && write_keys(unit, keys, changed) && (*changed == 0 || keys_reload(unit))
         && hold_keys(db, keys);
    PQclear(keys);
    PQfinish(db);
    return ok;
}


/* *dropped: how many of the keys NGINX may still have. */
static bool
remove_files(const unit_t *unit, const PGresult *keys, int *dropped)
{
    bool ok = true;

    for (int i = 0; i < PQntuples(keys); i++) {
        const char *kid = database_field(keys, i, "kid");
        bool        removed = file_remove(public_file(unit, kid));

        if (removed) {
            output_line("key %s is over; removed", kid);
        } else if (errno != ENOENT) {
            output_problem("key", "cannot remove the key %s: %m", kid);
            ok = false;
        }
        *dropped += removed || *database_field(keys, i, "held") == 't';
    }
    return ok;
}


static bool
drop_rows(PGconn *db, const PGresult *keys)
{
    bool ok = true;

    for (int i = 0; ok && i < PQntuples(keys); i++) {
        ok = database_run(db, "select punit.drop_key($1)", 1,
                          (const char *const[]){ database_field(keys, i, "kid") });
    }
    return ok;
}


/* The rows go last: they say that NGINX has the keys. */
bool
keys_drop(const unit_t *unit, PGconn *db, const char **until)
{
    PGresult *keys = database_query(db, NULL, "select kid, held from punit.over_keys()", 0, NULL);
    int       dropped = 0;
    bool      ok = keys != NULL && remove_files(unit, keys, &dropped)
              && (dropped == 0 || keys_reload(unit)) && drop_rows(db, keys);

    *until =
        ok ? database_value(db, "select " DATABASE_TIME("max(until)") " from punit.left_keys()", 0,
                            NULL)
           : NULL;
    PQclear(keys);
    return ok;
}


bool
keys_end_older(const unit_t *unit, PGconn *db, const char *kid)
{
    const char *keep = unit_setting(unit, "PUNIT_KEY_KEEP");
    long        ms = keep != NULL ? punit_config_time_parse(keep) : 0;

    if (ms < 0) {
        output_problem("bad-setting", "PUNIT_KEY_KEEP: expected a time such as 20m, not \"%s\"",
                       keep);
        return false;
    }
    return database_run(db, "select punit.end_keys($1, $2)", 2,
                        (const char *const[]){
                            kid, keep != NULL ? pool_printf("%.3f", (double) ms / 1e3) : NULL });
}
