/*
 * punitctl certificates: the certificates of this unit, and their days. After they were replaced it
 * makes the servers read them again.
 */
#include <jansson.h>
#include <stdio.h>

#include "punitctl/unit/certificate_list.h"
#include "punitctl/unit/cluster.h"
#include "punitctl/unit/nginx.h"
#include "punitctl/unit/owners.h"
#include "punitctl/verb.h"


/* False if there is one. */
static bool
say_problems(const json_t *certificates)
{
    const json_t *one;
    size_t        i;
    bool          none = true;

    json_array_foreach(certificates, i, one)
    {
        const char *problem = output_value(one, "problem");

        if (problem != NULL) {
            output_problem("certificate", "%s", problem);
            none = false;
        }
    }
    return none;
}


/* Services, mover and punitctl read the files for each connection that they open. */
static bool
reload(const unit_t *unit, bool sound)
{
    if (!sound) {
        output_problem("certificate", "nothing was reloaded");
        return false;
    }
    if (cluster_reload(unit)) {
        output_line("PostgreSQL reads its certificate again");
    }
    return nginx_reload(unit);
}


int
verb_certificates(const arguments_t *arguments)
{
    static const char *const columns[] = { "name", "subject", "issuer", "until", "days", "path" };
    bool                     reloads = arguments_value(arguments, "reload") != NULL;
    bool                     sound, reloaded = true, good;
    json_t                  *certificates;
    unit_t                   unit;

    if (!unit_open(&unit, arguments) || (reloads && owners_give(&unit) == FILE_FAILED)) {
        return EXIT_FAILED;
    }
    certificates = certificate_list(&unit);
    good = certificate_list_good(certificates);
    output_objects(certificates, columns, 6);
    sound = say_problems(certificates);
    if (reloads) {
        reloaded = reload(&unit, sound);
        output_fact("reloaded", json_boolean(reloaded));
    }
    output_json(json_pack("{s:b, s:o}", "good", good, "certificates", certificates));
    return good && reloaded ? EXIT_OK : EXIT_FAILED;
}
