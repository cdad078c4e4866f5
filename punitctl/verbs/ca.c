/*
 * punitctl ca: an authority that is kept apart from the units.
 */
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/authority.h"
#include "punitctl/unit/certificate.h"
#include "punitctl/unit/unit.h"
#include "punitctl/verb.h"


static const char *
authority_directory(const arguments_t *arguments)
{
    const char *by, *ca = arguments_value(arguments, "ca");

    return file_absolute(ca != NULL ? ca : pool_printf("%s/ca", unit_directory(arguments, &by)));
}


int
verb_ca_init(const arguments_t *arguments)
{
    const char   *directory = authority_directory(arguments);
    file_result_t made;

    if (file_make_directory(directory, 0700) == FILE_FAILED) {
        return EXIT_FAILED;
    }
    made = certificate_authority(directory);
    if (made == FILE_FAILED) {
        return EXIT_FAILED;
    }
    output_fact("authority", json_string(directory));
    output_fact("made", json_boolean(made == FILE_WRITTEN));
    output_line(made == FILE_WRITTEN
                    ? "made an authority in %s: ca.pem is for all units, ca.key stays here"
                    : "%s has an authority already",
                directory);
    return EXIT_OK;
}


int
verb_ca_unit(const arguments_t *arguments)
{
    const char *id = arguments->operand[0], *out = arguments_value(arguments, "out");
    const char *certificate, *key, *pem, *key_path;
    authority_t authority;
    bool        ok;

    if (!unit_id_check(id)) {
        return EXIT_USAGE;
    }
    pem = pool_printf("%s/%s.pem", out, id);
    key_path = pool_printf("%s/%s.key", out, id);
    if (file_exists(pem) || file_exists(key_path)) {
        return output_problem("file", "%s is there already, and is not overwritten",
                              file_exists(pem) ? pem : key_path);
    }
    if (!authority_open(&authority, authority_directory(arguments))) {
        return EXIT_FAILED;
    }
    ok = authority_issue(&authority, id, &certificate, &key)
         && file_make_directory(out, 0700) != FILE_FAILED
         && file_write(key_path, key, strlen(key), 0600) != FILE_FAILED
         && file_write(pem, certificate, strlen(certificate), 0644) != FILE_FAILED;
    authority_close(&authority);
    if (!ok) {
        return EXIT_FAILED;
    }
    output_fact("named", json_string(id));
    output_fact("certificate", json_string(file_absolute(pem)));
    output_fact("key", json_string(file_absolute(key_path)));
    output_line("wrote %s and %s", pem, key_path);
    return EXIT_OK;
}
