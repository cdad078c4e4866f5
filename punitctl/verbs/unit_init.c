/*
 * punitctl unit init: makes a unit. Each step looks at the present state first, so a repeated call
 * makes what is missing and changes nothing else.
 */
#include <string.h>
#include <sys/stat.h>

#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/invited.h"
#include "punitctl/pool.h"
#include "punitctl/unit/authority.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/environment.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/nginx_addresses.h"
#include "punitctl/unit/nginx_public.h"
#include "punitctl/unit/old_release.h"
#include "punitctl/unit/owners.h"
#include "punitctl/unit/pepper.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/schema.h"
#include "punitctl/unit/seed.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/verb.h"


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
    const char        *ca; /* directory of an authority, or NULL */
    const char        *pepper;
    certificate_file_t certificate, key, ca_certificate; /* between units */
    certificate_file_t https_certificate, https_key;     /* for clients */
} given_files_t;

/* How the unit comes into a system, if not by `unit add`. */
typedef struct {
    bool new;         /* it is the first unit of a new one */
    bool     invited; /* by `invite` */
    invite_t invite;
} beginning_t;


/* Reads the file of an option, if the option is given. */
static bool
read_option(const arguments_t *arguments, const char *option, certificate_file_t *file)
{
    file->path = arguments_value(arguments, option);
    file->pem = file->path != NULL ? file_read(file->path, NULL) : NULL;
    return file->path == NULL || file->pem != NULL;
}


/* EXIT_OK, or what the program is to exit with. */
static int
read_given(const arguments_t *arguments, given_files_t *given)
{
    const char *pepper = arguments_value(arguments, "pepper");
    int         between = (arguments_value(arguments, "cert") != NULL)
                  + (arguments_value(arguments, "key") != NULL)
                  + (arguments_value(arguments, "cacert") != NULL);
    int clients = (arguments_value(arguments, "https-cert") != NULL)
                  + (arguments_value(arguments, "https-key") != NULL);

    memset(given, 0, sizeof(*given));
    if (between % 3 != 0 || clients % 2 != 0) {
        output_error(between % 3 != 0 ? "--cert, --key and --cacert go together"
                                      : "--https-cert and --https-key go together");
        return EXIT_USAGE;
    }
    if (!read_option(arguments, "cert", &given->certificate)
        || !read_option(arguments, "key", &given->key)
        || !read_option(arguments, "cacert", &given->ca_certificate)
        || !read_option(arguments, "https-cert", &given->https_certificate)
        || !read_option(arguments, "https-key", &given->https_key))
    {
        return EXIT_FAILED;
    }
    if (arguments_value(arguments, "ca") != NULL && arguments_value(arguments, "new") == NULL) {
        given->ca = file_absolute(arguments_value(arguments, "ca"));
    }
    if (pepper != NULL && file_exists(pepper)) {
        given->pepper = file_read(pepper, NULL);
        if (given->pepper == NULL) {
            return EXIT_FAILED;
        }
    }
    return EXIT_OK;
}


/* Looks at all certificates before anything is written. */
static bool
check_certificates(const unit_t *unit, const given_files_t *given)
{
    certificate_file_t certificate = given->https_certificate, key = given->https_key;

    if (given->certificate.pem != NULL
        && !certificate_check_given(&given->ca_certificate, &given->certificate, &given->key,
                                    unit->id))
    {
        return false;
    }
    if (certificate.pem == NULL && nginx_public_https(unit) != NULL) {
        certificate.path = unit_setting(unit, "PUNIT_HTTPS_CERT");
        certificate.pem = file_read(certificate.path, NULL);
        key.path = unit_setting(unit, "PUNIT_HTTPS_KEY");
        key.pem = file_read(key.path, NULL);
        if (certificate.pem == NULL || key.pem == NULL) {
            return false;
        }
    }
    return certificate.pem == NULL || certificate_check_public(&certificate, &key);
}


/* Puts what was given into its place, in one go. */
static file_result_t
take_certificate(const certificate_file_t *ca, const char *ca_path,
                 const certificate_file_t *certificate, const char *certificate_path,
                 const certificate_file_t *key, const char *key_path)
{
    const file_content_t files[] = {
        { key_path, key->pem, strlen(key->pem), 0600, false },
        { certificate_path, certificate->pem, strlen(certificate->pem), 0644, false },
        { ca_path, ca != NULL ? ca->pem : NULL, ca != NULL ? strlen(ca->pem) : 0, 0644, false },
    };

    return file_write_together(files, ca != NULL ? 3 : 2);
}


/* The certificate for clients. `*taken` becomes true if it is a new one. */
static bool
take_https(const unit_t *unit, const given_files_t *given, int *kept, bool *taken)
{
    file_result_t result;

    if (given->https_certificate.pem == NULL) {
        return true;
    }
    result = take_certificate(NULL, NULL, &given->https_certificate,
                              unit_setting(unit, "PUNIT_HTTPS_CERT"), &given->https_key,
                              unit_setting(unit, "PUNIT_HTTPS_KEY"));
    *taken |= result == FILE_WRITTEN;
    return step(result, kept,
                pool_printf("took the certificate for clients from %s, and its key",
                            given->https_certificate.path));
}


/* `*taken` becomes true if a given certificate took the place of another one. */
static bool
make_certificate(const unit_t *unit, const given_files_t *given, int *kept, bool *taken)
{
    const char *certificate = unit_setting(unit, "PUNIT_TLS_CERT");
    const char *key = unit_setting(unit, "PUNIT_TLS_KEY");
    const char *ca_file = unit_setting(unit, "PUNIT_TLS_CA");

    if (given->certificate.pem != NULL) {
        file_result_t result = take_certificate(&given->ca_certificate, ca_file,
                                                &given->certificate, certificate, &given->key, key);

        *taken |= result == FILE_WRITTEN;
        if (!step(result, kept,
                  pool_printf("took the unit's certificate, its key and the authority's"
                              " certificate from %s",
                              given->certificate.path)))
        {
            return false;
        }
    } else if (!file_exists(certificate) || !file_exists(key)) {
        if (given->ca == NULL) {
            output_problem("certificate",
                           "a unit needs a certificate; give --new for the first unit of a"
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
make_pepper(const unit_t *unit, const given_files_t *given, const char *file, int *kept)
{
    const char   *pepper = given->pepper;
    file_result_t made = FILE_FAILED;

    if (pepper == NULL && file != NULL && !pepper_is_there(unit)) {
        pepper = pepper_shared(file, &made);
        if (!step(made, kept, pool_printf("made a pepper in %s, for the other units too", file))) {
            return false;
        }
    }
    return step(pepper_put(unit, pepper, file != NULL ? file : "the invite"), kept,
                "put the pepper into private/pepper");
}


static bool
make_key(const unit_t *unit, int *kept)
{
    const char *private = unit_setting(unit, "PUNIT_PRIVATE");
    unsigned long n = signing_key_last(private, unit->id, PUNIT_KEY_FILE_PRIVATE);

    if (n == 0) {
        n = 1;
    }
    return step(signing_key_make(pool_printf("%s/%s-%lu" PUNIT_KEY_FILE_PRIVATE, private, unit->id,
                                             n),
                                 pool_printf("%s/%s-%lu" PUNIT_KEY_FILE_PUBLIC,
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
        db != NULL && (beginning->new ? begin_new(db) : invited_join(unit, db, &beginning->invite));
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
            output_problem("database-down", "PostgreSQL does not start; see %s/log/postgres.log",
                           unit->dir);
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


/* PostgreSQL and NGINX, if they run, take over another certificate. NGINX takes over what was said
 * on the command line too. After an upgrade it waits for its restart: a reload would not load the
 * new module. */
static bool
tell_servers(const unit_t *unit, bool certificates, bool settings)
{
    if (certificates) {
        cluster_reload(unit);
    }
    return (!certificates && !settings) || nginx_reload(unit);
}


/* What runs the servers, beside the database. */
static bool
write_configuration(const unit_t *unit, int *kept)
{
    const char *before = nginx_addresses_read(unit);

    if (!step(nginx_write(unit), kept,
              pool_printf("wrote nginx/ for %s, peers on %s", unit_setting(unit, "PUNIT_HTTP"),
                          unit_setting(unit, "PUNIT_LISTENER"))))
    {
        return false;
    }
    nginx_addresses_tell(unit, before);
    return step(supervise_write(unit), kept, "wrote the run scripts in sv/");
}


/* The authority of a new system, in ca/ or --ca DIR, and the certificate of its first unit. Both
 * are made before this process becomes the unit's user. So root keeps the authority's key, and the
 * unit's processes cannot read it. */
static bool
make_authority(const unit_t *unit, const char *directory, given_files_t *given)
{
    authority_t authority;
    bool        ok;

    if (given->certificate.pem != NULL
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
        output_fact("authority", json_string(directory));
        output_line("made an authority in %s", directory);
        break;
    case FILE_KEPT:
        break;
    }
    if (!authority_open(&authority, directory)) {
        return false;
    }
    ok = authority_issue(&authority, unit->id, &given->certificate.pem, &given->key.pem);
    given->certificate.path = given->key.path = given->ca_certificate.path = directory;
    given->ca_certificate.pem = authority.certificate;
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
            output_problem("usage", "--%s does not go with --invited; the invite says that",
                           excluded[i]);
            return EXIT_USAGE;
        }
    }
    if (!invite_read(file, invite)) {
        return EXIT_FAILED;
    }
    if (unit->id != NULL && strcmp(unit->id, invite->unit.id) != 0) {
        return output_problem("wrong-unit", "%s invites unit %s, not %s", file, invite->unit.id,
                              unit->id);
    }
    unit->id = invite->unit.id;
    given->certificate = (certificate_file_t){ file, invite->certificate };
    given->key = (certificate_file_t){ file, invite->key };
    given->ca_certificate = (certificate_file_t){ file, invite->authority };
    given->pepper = invite->pepper;
    return EXIT_OK;
}


/* The directory of the unit, which may be absent. NULL with the reason printed. */
static const char *
directory_of(const arguments_t *arguments)
{
    const char *by;
    const char *dir = unit_directory(arguments, &by);

    if (strcmp(dir, UNIT_DIRECTORY) == 0 && file_real(dir) == NULL && file_link_target(dir) == NULL)
    {
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
        .https = arguments_value(arguments, "https"),
        .https_certificate = arguments_value(arguments, "https-cert") != NULL,
        .listener = arguments_value(arguments, "peer"),
        .pg = arguments_value(arguments, "pg"),
        .admin = arguments_value(arguments, "admin"),
        .own = &arguments->operand[named],
        .own_count = arguments->operands - named,
    };
    const char   *pepper_file = arguments_value(arguments, "pepper");
    const char   *sql = installation_share("sql");
    unit_t        unit = { .id = named ? arguments->operand[0] : NULL };
    given_files_t given;
    beginning_t   beginning = { 0 };
    bool          taken = false;
    int           kept = 0, status;

    if (sql == NULL) {
        return EXIT_FAILED;
    }
    status = read_given(arguments, &given);
    if (status == EXIT_OK) {
        status = read_beginning(arguments, &unit, &beginning, &given);
    }
    if (status != EXIT_OK) {
        return status;
    }
    if (!unit_id_check(unit.id != NULL ? unit.id : "")) {
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
        if (!file_exists(unit_path(&unit, "pg/PG_VERSION")) && !invited_ask(&beginning.invite)) {
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
        return output_problem("no-rights", "the directory is out of reach of the user %s",
                              process_user());
    }
    conffile_force(arguments_value(arguments, "force") != NULL);
    if (!environment_make(&unit, &given_environment) || !check_certificates(&unit, &given)
        || !old_release_note(&unit)
        || !step(make_directories(&unit), &kept,
                 pool_printf("made the directories in %s", unit.dir))
        || !step(owners_give(&unit), &kept, "gave the files to the users of their programs"))
    {
        return EXIT_FAILED;
    }
    if (!step(environment_write(&unit), &kept, "wrote unit.env")
        || !make_certificate(&unit, &given, &kept, &taken)
        || !take_https(&unit, &given, &kept, &taken) || owners_give(&unit) == FILE_FAILED
        || !make_pepper(&unit, &given, pepper_file, &kept) || !make_key(&unit, &kept)
        || !step(cluster_make(&unit), &kept, "made PostgreSQL's cluster in pg/ (initdb)")
        || !step(cluster_configure(&unit), &kept,
                 pool_printf("configured PostgreSQL on %s", unit_setting(&unit, "PUNIT_PG_LISTEN")))
        || !make_database(&unit, sql, &beginning, &kept) || !write_configuration(&unit, &kept)
        || owners_give(&unit) == FILE_FAILED || !tell_servers(&unit, taken, given_environment.news))
    {
        return EXIT_FAILED;
    }
    output_fact("dir", json_string(unit.dir));
    if (beginning.invited) {
        output_fact("invited_by", json_string(beginning.invite.from));
    }
    output_fact("kept", json_integer(kept));
    output_line("unit %s is ready; %d of the steps found their work done", unit.id, kept);
    return conffile_end(&unit);
}
