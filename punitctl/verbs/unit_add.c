/*
 * punitctl unit add: makes the other units known to this one.
 */
#include <string.h>

#include "punitctl/mesh/arbiters.h"
#include "punitctl/mesh/introduction.h"
#include "punitctl/mesh/join.h"
#include "punitctl/mesh/peer_add.h"
#include "punitctl/unit/conffile.h"
#include "punitctl/unit/database.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/old_release.h"
#include "punitctl/unit/units_file.h"
#include "punitctl/verb.h"
#include "punitctl/wait.h"


static bool
listed(const unit_t *unit, const unit_address_t *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].id, unit->id) == 0) {
            return true;
        }
    }
    return false;
}


static int
add_file(const unit_t *unit, const char *path, const unit_address_t *units, size_t count)
{
    PGconn *db;
    bool    ok;

    if (!listed(unit, units, count)) {
        return output_problem("bad-file",
                              "%s does not list this unit; give every unit the same"
                              " file, itself included",
                              path);
    }
    db = database_open(unit, "postgres", NULL);
    ok = db != NULL && peer_add(unit, db, units, count) && !arbiters_apart(db)
         && arbiters_settle(db, false) && peer_add_nginx(unit, db, NULL);
    PQfinish(db);
    if (!ok) {
        return EXIT_FAILED;
    }
    output_fact("peers", json_integer((json_int_t) count - 1));
    output_line("now `punitctl mesh join` here, after `punitctl unit add` at the others");
    return conffile_end(unit);
}


/* A unit that a peer has invited. The operator names it, and the authority vouches for its
 * addresses. */
static int
add_invited(const unit_t *unit, const char *id, double limit)
{
    const char    *certificates = file_read(unit_setting(unit, "PUNIT_TLS_CA"), NULL);
    PGconn        *db = database_open(unit, "postgres", NULL);
    int            status = EXIT_FAILED;
    unit_address_t invited = { 0 };

    if (certificates != NULL && db != NULL && introduction_find(db, certificates, id, &invited)
        && peer_add(unit, db, &invited, 1) && peer_add_nginx(unit, db, NULL))
    {
        output_fact("added", json_string(id));
        status = join_mesh(unit, db, limit, id);
    }
    PQfinish(db);
    return status == EXIT_OK ? conffile_end(unit) : status;
}


int
verb_unit_add(const arguments_t *arguments)
{
    const char     *operand = arguments->operand[0];
    bool            invited = unit_id_valid(operand) && !file_exists(operand);
    double          limit = wait_within(arguments);
    unit_address_t *units = NULL;
    size_t          count = 0;
    unit_t          unit;

    if (limit < 0) {
        return EXIT_USAGE;
    }
    /* The unit's user may not be able to read the file. */
    if (!invited && (units = units_file_read(operand, &count)) == NULL) {
        return EXIT_FAILED;
    }
    if (!unit_open(&unit, arguments) || !old_release_note(&unit)) {
        return EXIT_FAILED;
    }
    conffile_force(arguments_value(arguments, "force") != NULL);
    return invited ? add_invited(&unit, operand, limit) : add_file(&unit, operand, units, count);
}
