#include "punitctl/mesh/invited.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "punitctl/mesh/introduction.h"
#include "punitctl/mesh/join.h"
#include "punitctl/mesh/peer_add.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/database.h"

#define JOIN_SECONDS 120


/* A file without a name that holds the text, as a path. libpq reads certificates from files only,
 * and nothing of the invite is written before it is found good. NULL with the reason printed. */
static const char *
memory_file(const char *text)
{
    int    fd = memfd_create("punit", MFD_CLOEXEC);
    size_t n = strlen(text);

    if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, text, n) != (ssize_t) n) {
        output_problem("failed", "cannot keep the invite in memory: %s", strerror(errno));
        return NULL;
    }
    return pool_printf("/proc/self/fd/%d", fd);
}


static const struct {
    const char *is, *said;
} refusals[] = {
    { "expired", "it has expired" },
    { "replaced", "a later one was written for this unit, and it alone counts" },
    { "used", "it has been used: a unit of this id has joined. If that was not you, its keys are"
              " in other hands: `punitctl unit remove` it at every unit" },
    { "withdrawn", "the unit that invites knows nothing of it (any more)" },
};


static bool
is_good(const char *worth, const char *from)
{
    const char *said = worth;

    if (strcmp(worth, "good") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        if (strcmp(refusals[i].is, worth) == 0) {
            said = refusals[i].said;
        }
    }
    output_problem("refused", "%s refuses this invite: %s", from, said);
    return false;
}


bool
invited_ask(const invite_t *invite)
{
    const punit_identity_t self = {
        .unit = invite->unit.id,
        .cert = memory_file(invite->certificate),
        .key = memory_file(invite->key),
        .ca = memory_file(invite->authority),
    };
    const unit_address_t *from = invite_from(invite);
    const char           *conninfo, *reason = "its address is malformed", *worth;
    PGconn               *there;

    if (self.cert == NULL || self.key == NULL || self.ca == NULL) {
        return false;
    }
    conninfo = peer_add_conninfo(&self, from);
    there = conninfo != NULL ? database_open_peer(conninfo, &reason) : NULL;
    if (there == NULL) {
        output_problem("peer-unreachable", "unit %s, which invites, does not answer at %s: %s",
                       from->id, from->pg, reason);
        return false;
    }
    worth = database_value(there, "select punit.invited($1, $2)", 2,
                           (const char *const[]){ invite->unit.id, invite->number });
    PQfinish(there);
    return worth != NULL && is_good(worth, from->id);
}


/* The units that were invited at the unit that invites, also after the invite was written. */
static bool
add_invited(const unit_t *unit, PGconn *db, const invite_t *invite)
{
    const punit_identity_t self = peer_add_identity(unit);
    const unit_address_t  *from = invite_from(invite);
    const char            *reason;
    PGconn                *there = database_open_peer(peer_add_conninfo(&self, from), &reason);
    unit_address_t        *units;
    size_t                 count;
    bool                   ok;

    if (there == NULL) {
        output_problem("peer-unreachable", "unit %s, which invites, does not answer at %s: %s",
                       from->id, from->pg, reason);
        return false;
    }
    units = introduction_list(there, invite->authority, &count);
    ok = units != NULL && peer_add(unit, db, units, count);
    PQfinish(there);
    return ok;
}


bool
invited_join(const unit_t *unit, PGconn *db, const invite_t *invite)
{
    return peer_add(unit, db, invite->peers, invite->peer_count) && add_invited(unit, db, invite)
           && peer_add_nginx(unit, db, NULL)
           && join_mesh(unit, db, JOIN_SECONDS, invite->from) == EXIT_OK;
}
