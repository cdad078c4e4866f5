/*
 * punitctl unit init: makes a unit. Each step looks at the present state first, so a repeated call
 * makes what is missing and changes nothing else.
 */
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#include "punitctl/pool.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/environment.h"
#include "punitctl/unit/installation.h"
#include "punitctl/unit/keys.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/public.h"
#include "punitctl/unit/recall.h"
#include "punitctl/unit/schema.h"
#include "punitctl/unit/signing_key.h"
#include "punitctl/unit/supervise.h"
#include "punitctl/unit/written.h"
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
    const char        *ca; /* directory of an authority, or NULL */
    const char        *pepper;
    certificate_file_t certificate, key, ca_certificate; /* between units */
    certificate_file_t https_certificate, https_key;     /* for clients */
} given_files_t;


/* Reads the file of an option, if the option is given. */
static bool
read_option(const arguments_t *arguments, const char *option, certificate_file_t *file)
{
    file->path = arguments_value(arguments, option);
    file->pem = file->path != NULL ? file_read(file->path, NULL) : NULL;
    return file->path == NULL || file->pem != NULL;
}


static bool
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
        return false;
    }
    if (!read_option(arguments, "cert", &given->certificate)
        || !read_option(arguments, "key", &given->key)
        || !read_option(arguments, "cacert", &given->ca_certificate)
        || !read_option(arguments, "https-cert", &given->https_certificate)
        || !read_option(arguments, "https-key", &given->https_key))
    {
        return false;
    }
    if (arguments_value(arguments, "ca") != NULL) {
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
    if (certificate.pem == NULL && public_https(unit) != NULL) {
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
    return step(result, kept, "took the given certificate for clients and its key");
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
                  "took the given certificate, its key and the authority's certificate")) {
            return false;
        }
    } else if (!file_exists(certificate) || !file_exists(key)) {
        if (given->ca == NULL) {
            output_problem("certificate",
                           "a unit needs a certificate; give --cert, --key and"
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


/* The pepper is the key of the hashes of e-mail addresses, the same in all units. */
static bool
make_pepper(const unit_t *unit, const given_files_t *given, const char *file, int *kept)
{
    const char   *path = pool_printf("%s/pepper", unit_setting(unit, "PUNIT_PRIVATE"));
    unsigned char bytes[PEPPER_BYTES];
    const char   *pepper = given->pepper;

    if (pepper != NULL && !pepper_valid(pepper)) {
        output_problem("bad-file", "%s: a pepper is %d bytes as hexadecimal digits", file,
                       PEPPER_BYTES);
        return false;
    }
    if (file_exists(path)) {
        const char *now = file_read(path, NULL);

        if (now == NULL) {
            return false;
        }
        if (pepper != NULL && strncmp(now, pepper, 2 * PEPPER_BYTES) != 0) {
            output_problem("bad-file",
                           "%s differs from %s: with another pepper no name of before"
                           " would be found again",
                           file, path);
            return false;
        }
        ++*kept;
        return true;
    }
    if (pepper == NULL) {
        char *fresh = "";

        if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
            output_error("no random bytes for the pepper");
            return false;
        }
        for (size_t i = 0; i < sizeof(bytes); i++) {
            fresh = pool_printf("%s%02x", fresh, bytes[i]);
        }
        pepper = pool_printf("%s\n", fresh);
        if (file != NULL
            && !step(write_text(file, pepper, 0600), kept,
                     pool_printf("made a pepper in %s, for the other units too", file)))
        {
            return false;
        }
    }
    return step(write_text(path, pool_printf("%.*s\n", 2 * PEPPER_BYTES, pepper), 0600), kept,
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


static bool
make_database(const unit_t *unit, const char *sql, int *kept)
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
         && schema_apply(unit, sql, false) == EXIT_OK && announce(unit);
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
    return step(nginx_write(unit), kept,
                pool_printf("wrote nginx/ for %s, peers on %s", unit_setting(unit, "PUNIT_HTTP"),
                            unit_setting(unit, "PUNIT_LISTENER")))
           && step(supervise_write(unit), kept, "wrote the run scripts in sv/");
}


int
verb_unit_init(const arguments_t *arguments)
{
    environment_t given_environment = {
        .https = arguments_value(arguments, "https"),
        .https_certificate = arguments_value(arguments, "https-cert") != NULL,
        .http = arguments_value(arguments, "http"),
        .listener = arguments_value(arguments, "peer"),
        .pg = arguments_value(arguments, "pg"),
        .admin = arguments_value(arguments, "admin"),
        .own = &arguments->operand[1],
        .own_count = arguments->operands - 1,
    };
    const char   *pepper_file = arguments_value(arguments, "pepper");
    const char   *sql = installation_share("sql");
    unit_t        unit = { .id = arguments->operand[0] };
    given_files_t given;
    bool          taken = false;
    int           kept = 0;

    if (!unit_id_valid(unit.id)) {
        output_error("a unit's id is [a-z0-9-]{1,32}, not \"%s\"", unit.id);
        return EXIT_USAGE;
    }
    if (arguments_value(arguments, "dir") == NULL) {
        output_error("unit init needs --dir DIR");
        return EXIT_USAGE;
    }
    unit.dir = file_absolute(arguments_value(arguments, "dir"));
    output_about(unit.id);
    if (sql == NULL || !read_given(arguments, &given) || !process_own_directory(unit.dir, 0755)
        || (given.ca != NULL && !process_own_directory(given.ca, 0755)))
    {
        return EXIT_FAILED;
    }
    if (!process_become_owner(unit.dir)) {
        return EXIT_FAILED;
    }
    unit.dir = file_real(unit.dir);
    if (unit.dir == NULL) {
        return output_problem("no-rights", "%s is out of reach of the user %s",
                              arguments_value(arguments, "dir"), process_user());
    }
    written_force(arguments_value(arguments, "force") != NULL);
    if (!environment_make(&unit, &given_environment) || !check_certificates(&unit, &given)
        || !recall_release(&unit)
        || !step(make_directories(&unit), &kept,
                 pool_printf("made the directories in %s", unit.dir)))
    {
        return EXIT_FAILED;
    }
    if (!step(environment_write(&unit), &kept, "wrote unit.env")
        || !make_certificate(&unit, &given, &kept, &taken)
        || !take_https(&unit, &given, &kept, &taken)
        || !make_pepper(&unit, &given, pepper_file, &kept) || !make_key(&unit, &kept)
        || !step(cluster_make(&unit), &kept, "made PostgreSQL's cluster in pg/ (initdb)")
        || !step(cluster_configure(&unit), &kept,
                 pool_printf("configured PostgreSQL on %s", unit_setting(&unit, "PUNIT_PG_LISTEN")))
        || !make_database(&unit, sql, &kept) || !write_configuration(&unit, &kept)
        || !tell_servers(&unit, taken, given_environment.news))
    {
        return EXIT_FAILED;
    }
    output_fact("dir", json_string(unit.dir));
    output_fact("kept", json_integer(kept));
    output_line("unit %s is ready; %d of the steps found their work done", unit.id, kept);
    return written_end(&unit);
}
