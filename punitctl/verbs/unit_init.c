/*
 * punitctl unit init: makes a unit. Each step looks at the present state first, so a repeated call
 * makes what is missing and changes nothing else.
 */
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/welcome.h"
#include "punitctl/pool.h"
#include "punitctl/unit/authority.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/environment.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/schema.h"
#include "punitctl/unit/seed.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/verb.h"

#define PEPPER_BYTES 32


/* Prints what a step did. A step that changed nothing is only counted. */
static bool
step(file_result_t result, int *kept, const char *what)
{
    if (result == FILE_WRITTEN) {
        output_line("%s", what);
    }
    *kept += result == FILE_KEPT;
    return result != FILE_FAILED;
}


static file_result_t
make_directories(const unit_t *unit)
{
    static const struct {
        const char *name;
        mode_t      mode;
    } directories[] = {
        { "nginx", 0750 },   { "nginx/unit", 0750 }, { "sock", 0750 }, { "keys", 0755 },
        { "private", 0700 }, { "tls", 0750 },        { "log", 0750 },  { "sv", 0755 },
    };
    file_result_t all = FILE_KEPT;

    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
        file_result_t one =
            file_make_directory(unit_path(unit, "%s", directories[i].name), directories[i].mode);

        if (one == FILE_FAILED) {
            return one;
        }
        all = one == FILE_WRITTEN ? one : all;
    }
    return all;
}


static file_result_t
copy(const char *from, const char *to, mode_t mode)
{
    size_t      size;
    const char *content = file_read(from, &size);

    return content == NULL ? FILE_FAILED : file_write(to, content, size, mode);
}


/* Files that the unit's user may not read, so root reads them first. */
typedef struct {
    const char *ca; /* directory of an authority, or NULL */
    const char *certificate, *key, *ca_certificate, *pepper; /* contents */
} given_files_t;

/* How the unit comes into a system, if not by `unit add`. */
typedef struct {
    bool new;         /* it is the first unit of a new one */
    bool     invited; /* by `invite` */
    invite_t invite;
} beginning_t;


static bool
read_given(const arguments_t *arguments, given_files_t *given)
{
    const char *certificate = arguments_value(arguments, "cert");
    const char *key = arguments_value(arguments, "key");
    const char *ca_certificate = arguments_value(arguments, "cacert");
    const char *pepper = arguments_value(arguments, "pepper");

    memset(given, 0, sizeof(*given));
    if (certificate != NULL || key != NULL || ca_certificate != NULL) {
        if (certificate == NULL || key == NULL || ca_certificate == NULL) {
            output_error("--cert, --key and --cacert go together");
            return false;
        }
        given->certificate = file_read(certificate, NULL);
        given->key = file_read(key, NULL);
        given->ca_certificate = file_read(ca_certificate, NULL);
        if (given->certificate == NULL || given->key == NULL || given->ca_certificate == NULL) {
            return false;
        }
    }
    if (arguments_value(arguments, "ca") != NULL && arguments_value(arguments, "new") == NULL) {
        given->ca = file_absolute(arguments_value(arguments, "ca"));
    }
    if (pepper != NULL && file_exists(pepper)) {
        given->pepper = file_read(pepper, NULL);
        if (given->pepper == NULL) {
            return false;
        }
    }
    return true;
}


static file_result_t
write_text(const char *path, const char *content, mode_t mode)
{
    return file_write(path, content, strlen(content), mode);
}


static bool
make_certificate(const unit_t *unit, const given_files_t *given, int *kept)
{
    const char *certificate = unit_setting(unit, "PUNIT_TLS_CERT");
    const char *key = unit_setting(unit, "PUNIT_TLS_KEY");
    const char *ca_file = unit_setting(unit, "PUNIT_TLS_CA");

    if (given->certificate != NULL) {
        if (!step(write_text(key, given->key, 0600), kept, "took the given key of the certificate")
            || !step(write_text(certificate, given->certificate, 0644), kept,
                     "took the given certificate")
            || !step(write_text(ca_file, given->ca_certificate, 0644), kept,
                     "took the given authority's certificate"))
        {
            return false;
        }
    } else if (!file_exists(certificate) || !file_exists(key)) {
        if (given->ca == NULL) {
            output_error("a unit needs a certificate: give --new for the first unit of a"
                         " system, --invited FILE for a further one, --cert, --key and"
                         " --cacert, or --ca DIR for an authority of your own (made"
                         " there if absent)");
            return false;
        }
        if (!step(certificate_authority(given->ca), kept,
                  pool_printf("made an authority in %s", given->ca))
            || !step(copy(pool_printf("%s/ca.pem", given->ca), ca_file, 0644), kept,
                     "took the authority's certificate into tls/ca.pem")
            || !step(certificate_unit(given->ca, unit->id, certificate, key), kept,
                     "made a certificate and its key in tls/"))
        {
            return false;
        }
    } else {
        ++*kept;
    }
    return certificate_check(ca_file, certificate, key, unit->id);
}


static bool
pepper_valid(const char *pepper)
{
    size_t n = strspn(pepper, "0123456789abcdef");

    return n == 2 * PEPPER_BYTES && (pepper[n] == '\0' || pepper[n] == '\n');
}


/* 32 random bytes as a line. NULL with the reason printed. */
static const char *
random_pepper(void)
{
    unsigned char bytes[PEPPER_BYTES];
    char         *fresh = "";

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        output_error("no random bytes for the pepper");
        return NULL;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        fresh = pool_printf("%s%02x", fresh, bytes[i]);
    }
    return pool_printf("%s\n", fresh);
}


/* The pepper of a file that all units share. Two units that are made at the same time make it once.
 * NULL with the reason printed. */
static const char *
shared_pepper(const char *file, int *kept)
{
    const char *fresh = random_pepper();

    if (fresh == NULL
        || !step(file_create(file, fresh, 0600), kept,
                 pool_printf("made a pepper in %s, for the other units too", file)))
    {
        return NULL;
    }
    return file_read(file, NULL);
}


/* The pepper is the key of the hashes of e-mail addresses, the same in all units. */
static bool
make_pepper(const unit_t *unit, const given_files_t *given, const char *file, int *kept)
{
    const char *path = pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE"));
    const char *pepper = given->pepper;
    const char *from = file != NULL ? file : "the invite";

    if (pepper == NULL && file != NULL && !file_exists(path)) {
        pepper = shared_pepper(file, kept);
        if (pepper == NULL) {
            return false;
        }
    }
    if (pepper != NULL && !pepper_valid(pepper)) {
        output_error("%s: a pepper is %d bytes as hexadecimal digits", from, PEPPER_BYTES);
        return false;
    }
    if (file_exists(path)) {
        const char *now = file_read(path, NULL);

        if (now == NULL) {
            return false;
        }
        if (pepper != NULL && strncmp(now, pepper, 2 * PEPPER_BYTES) != 0) {
            output_error("%s differs from %s: with another pepper no name of before"
                         " would be found again",
                         from, path);
            return false;
        }
        ++*kept;
        return true;
    }
    if (pepper == NULL) {
        pepper = random_pepper();
    }
    return pepper != NULL
           && step(write_text(path, pool_printf("%.*s\n", 2 * PEPPER_BYTES, pepper), 0600), kept,
                   "put the pepper into private/pepper");
}


static bool
make_key(const unit_t *unit, int *kept)
{
    const char *private = unit_setting(unit, "PUNIT_PRIVATE");
    unsigned long n = signing_key_last(private, unit->id, ".ES256.key.pem");

    if (n == 0) {
        n = 1;
    }
    return step(signing_key_make(pool_printf("%s/%s-%lu.ES256.key.pem", private, unit->id, n),
                                 pool_printf("%s/%s-%lu.ES256.pem",
                                             unit_setting(unit, "PUNIT_KEYS"), unit->id, n)),
                kept, pool_printf("made the signing key %s-%lu (ES256)", unit->id, n));
}


/* Publishes the unit's own row and its public keys to the others. */
static bool
announce(const unit_t *unit)
{
    PGconn *db = database_open(unit, "postgres", NULL);
    bool    ok = db != NULL
              && database_run(db,
                              "update punit.unit set http = $1"
                              " where origin_unit = punit.self()"
                              " and id = punit.self()"
                              " and http is distinct from $1",
                              1,
                              (const char *const[]){
                                  pool_printf("http://%s", unit_setting(unit, "PUNIT_HTTP")) });

    PQfinish(db);
    return ok && keys_publish(unit);
}


/* The first unit of a system decides about all login names and writes the first reference rows. */
static bool
begin_new(PGconn *db)
{
    bool fresh;

    return arbiters_found(db, &fresh) && (!fresh || seed_write(db));
}


static bool
begin(const unit_t *unit, const beginning_t *beginning)
{
    PGconn *db;
    bool    ok;

    if (!beginning->new && !beginning->invited) {
        return true;
    }
    db = database_open(unit, "postgres", NULL);
    ok =
        db != NULL && (beginning->new ? begin_new(db) : welcome_join(unit, db, &beginning->invite));
    PQfinish(db);
    return ok;
}


static bool
make_database(const unit_t *unit, const char *sql, const beginning_t *beginning, int *kept)
{
    bool started = !cluster_runs(unit);
    bool ok;

    if (started) {
        if (!cluster_start(unit)) {
            output_error("see %s/log/postgres.log", unit->dir);
            return false;
        }
        output_line("started PostgreSQL for this");
    } else if (!cluster_wait(unit, 30)) {
        return false;
    }
    ok = step(cluster_database(unit), kept, "created the database punit")
         && schema_apply(unit, sql, false) == EXIT_OK && announce(unit) && begin(unit, beginning);
    if (started) {
        ok = cluster_stop(unit) && ok;
        output_line("stopped PostgreSQL again");
    }
    return ok;
}


/* The authority of a new system, in ca/ or --ca DIR, and the certificate of its first unit. Both
 * are made before this process becomes the unit's user. So root keeps the authority's key, and the
 * unit's processes cannot read it. */
static bool
make_authority(const unit_t *unit, const char *directory, given_files_t *given)
{
    authority_t authority;
    bool        ok;

    if (given->certificate != NULL
        || (file_exists(unit_path(unit, "tls/unit.pem"))
            && file_exists(unit_path(unit, "tls/unit.key"))))
    {
        return true;
    }
    directory = directory != NULL ? file_absolute(directory) : unit_path(unit, "ca");
    switch (file_make_directory(directory, 0700) != FILE_FAILED ? certificate_authority(directory)
                                                                : FILE_FAILED)
    {
    case FILE_FAILED:
        return false;
    case FILE_WRITTEN:
        output_line("made an authority in %s", directory);
        break;
    case FILE_KEPT:
        break;
    }
    if (!authority_open(&authority, directory)) {
        return false;
    }
    ok = authority_issue(&authority, unit->id, &given->certificate, &given->key);
    given->ca_certificate = authority.certificate;
    authority_close(&authority);
    return ok;
}


/* Reads --new and --invited. An invite has the unit's id, addresses and files. */
static int
read_beginning(const arguments_t *arguments, unit_t *unit, beginning_t *beginning,
               given_files_t *given)
{
    static const char *const excluded[] = { "new",    "ca",     "cert", "key",
                                            "cacert", "pepper", "peer", "pg" };
    const char              *file = arguments_value(arguments, "invited");
    invite_t                *invite = &beginning->invite;

    beginning->new = arguments_value(arguments, "new") != NULL;
    beginning->invited = file != NULL;
    if (file == NULL) {
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof(excluded) / sizeof(*excluded); i++) {
        if (arguments_value(arguments, excluded[i]) != NULL) {
            output_error("--%s does not go with --invited: the invite says that", excluded[i]);
            return EXIT_USAGE;
        }
    }
    if (!invite_read(file, invite)) {
        return EXIT_FAILED;
    }
    if (unit->id != NULL && strcmp(unit->id, invite->unit.id) != 0) {
        return output_error("%s invites unit %s, not %s", file, invite->unit.id, unit->id);
    }
    unit->id = invite->unit.id;
    given->certificate = invite->certificate;
    given->key = invite->key;
    given->ca_certificate = invite->authority;
    given->pepper = invite->pepper;
    return EXIT_OK;
}


/* The directory of the unit, which may be absent. NULL with the reason printed. */
static const char *
directory_of(const arguments_t *arguments)
{
    const char *by;
    const char *dir = unit_directory(arguments, &by);

    if (strcmp(dir, UNIT_DIRECTORY) == 0 && file_real(dir) == NULL) {
        output_error("where is the unit to live? %s, and there is no " UNIT_DIRECTORY
                     ", which the package makes: give --dir DIR",
                     by);
        return NULL;
    }
    return file_absolute(dir);
}


int
verb_unit_init(const arguments_t *arguments)
{
    bool          named = arguments->operands > 0 && strchr(arguments->operand[0], '=') == NULL;
    environment_t given_environment = {
        .http = arguments_value(arguments, "http"),
        .listener = arguments_value(arguments, "peer"),
        .pg = arguments_value(arguments, "pg"),
        .own = &arguments->operand[named],
        .own_count = arguments->operands - named,
    };
    const char   *pepper_file = arguments_value(arguments, "pepper");
    const char   *sql = installation_share("sql");
    unit_t        unit = { .id = named ? arguments->operand[0] : NULL };
    given_files_t given;
    beginning_t   beginning = { 0 };
    int           kept = 0, status;

    if (sql == NULL || !read_given(arguments, &given)) {
        return EXIT_FAILED;
    }
    status = read_beginning(arguments, &unit, &beginning, &given);
    if (status != EXIT_OK) {
        return status;
    }
    if (unit.id == NULL || !unit_id_valid(unit.id)) {
        output_error("a unit's id is [a-z0-9-]{1,32}, not \"%s\"", unit.id != NULL ? unit.id : "");
        return EXIT_USAGE;
    }
    unit.dir = directory_of(arguments);
    if (unit.dir == NULL) {
        return EXIT_USAGE;
    }
    output_about(unit.id);
    if (beginning.invited) {
        given_environment.listener = beginning.invite.unit.listener;
        given_environment.pg = beginning.invite.unit.pg;
        if (given_environment.http == NULL) {
            given_environment.http = beginning.invite.unit.http;
        }
        /* A unit with a database has been let in before, and goes on. */
        if (!file_exists(unit_path(&unit, "pg/PG_VERSION")) && !welcome_ask(&beginning.invite)) {
            return EXIT_FAILED;
        }
    }
    if (!process_own_directory(unit.dir, 0755)
        || (given.ca != NULL && !process_own_directory(given.ca, 0755))
        || (beginning.new && !make_authority(&unit, arguments_value(arguments, "ca"), &given)))
    {
        return EXIT_FAILED;
    }
    if (!process_become_owner(unit.dir)) {
        return EXIT_FAILED;
    }
    unit.dir = file_real(unit.dir);
    if (unit.dir == NULL) {
        return output_error("the directory is out of reach of the user %s", process_user());
    }
    if (!environment_make(&unit, &given_environment)
        || !step(make_directories(&unit), &kept,
                 pool_printf("made the directories in %s", unit.dir))
        || !step(environment_write(&unit), &kept, "wrote unit.env")
        || !make_certificate(&unit, &given, &kept)
        || !make_pepper(&unit, &given, pepper_file, &kept) || !make_key(&unit, &kept)
        || !step(cluster_make(&unit), &kept, "made PostgreSQL's cluster in pg/ (initdb)")
        || !step(cluster_configure(&unit), &kept,
                 pool_printf("configured PostgreSQL on %s", unit_setting(&unit, "PUNIT_PG_LISTEN")))
        || !make_database(&unit, sql, &beginning, &kept)
        || !step(nginx_write(&unit), &kept,
                 pool_printf("wrote nginx/ for %s, peers on %s", unit_setting(&unit, "PUNIT_HTTP"),
                             unit_setting(&unit, "PUNIT_LISTENER")))
        || !step(supervise_write(&unit), &kept, "wrote the run scripts in sv/"))
    {
        return EXIT_FAILED;
    }
    output_line("unit %s is ready; %d of the steps found their work done", unit.id, kept);
    return EXIT_OK;
}
