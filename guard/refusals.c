/*
 * What PostgreSQL refuses a peer is an error. Here it is told from a mistake, given to a peer, and
 * counted by peer, role and rule.
 */
#include "guard/refusals.h"

#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "replication/walsender.h"
#include "replication/worker_internal.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define COUNTS_MAX 1024

/* A counter. `rule` is a string of this library, which has one address in all processes. */
typedef struct {
    char        peer[PEER_MAX + 1];
    way_t       way;
    const char *rule;
    int64       n;
    TimestampTz first, last;
} count_t;

/* The counts are used from the front. When all are in use, the last one has what has no room. */
typedef struct {
    LWLock *lock;
    int64   ended; /* sessions */
    count_t count[COUNTS_MAX];
} counts_t;

static counts_t *counts;
static int       refused_setting, refusals_setting;


static const struct {
    const char *prefix, *name;
} ways[] = {
    [BY_PEER] = { "punit_peer_", "peer" },
    [BY_STREAM] = { "punit_stream_", "stream" },
    [BY_MESH] = { "punit_mesh_", "mesh" },
    [BY_LOGIN] = { NULL, "login" },
};


const char *
refusals_peer(const char *role, way_t *by)
{
    for (way_t i = BY_PEER; i < BY_LOGIN; i++) {
        size_t n = strlen(ways[i].prefix);

        if (strncmp(role, ways[i].prefix, n) == 0) {
            *by = i;
            return role + n;
        }
    }
    return NULL;
}


/* The counter, or a new one. Under the lock. */
static count_t *
find_count(const char *whose, way_t by, const char *rule)
{
    for (int i = 0; i < COUNTS_MAX - 1; i++) {
        count_t *count = &counts->count[i];

        if (count->n == 0) {
            strlcpy(count->peer, whose, sizeof(count->peer));
            count->way = by;
            count->rule = rule;
            return count;
        }
        if (count->way == by && count->rule == rule && strcmp(count->peer, whose) == 0) {
            return count;
        }
    }
    counts->count[COUNTS_MAX - 1].peer[0] = '*';
    counts->count[COUNTS_MAX - 1].rule = "no-room";
    return &counts->count[COUNTS_MAX - 1];
}


void
refusals_count(const char *whose, way_t by, const char *rule, bool ended)
{
    TimestampTz now = GetCurrentTimestamp();
    count_t    *count;

    LWLockAcquire(counts->lock, LW_EXCLUSIVE);
    count = find_count(whose, by, rule);
    if (count->n++ == 0) {
        count->first = now;
    }
    count->last = now;
    counts->ended += ended;
    LWLockRelease(counts->lock);
}


/* The rule that an error of a peer's session stands for. NULL: a mistake, which harms nobody.
 * A statement may also end because the peer asks for its end: the message tells. */
static const char *
rule_of_error(const ErrorData *error, bool applies)
{
    static const char *const timeouts[] = {
        "canceling statement due to statement timeout",
        "canceling statement due to lock timeout",
        "terminating connection due to idle-in-transaction timeout",
        "terminating connection due to transaction timeout",
        "terminating connection due to idle-session timeout",
    };

    switch (error->sqlerrcode) {
    case ERRCODE_INSUFFICIENT_PRIVILEGE:
        return "permission";
    case ERRCODE_TOO_MANY_CONNECTIONS:
        return "sessions";
    case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
        return "temp-files";
    case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION: /* the role was dropped or closed just now */
        return "not-a-peer";
    default:
        break;
    }
    for (int i = 0; error->message_id != NULL && i < lengthof(timeouts); i++) {
        if (strcmp(error->message_id, timeouts[i]) == 0) {
            return "timeout";
        }
    }
    if (applies
        && (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION
            || ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION))
    {
        return "row";
    }
    return NULL;
}


/* The unit behind an error, and the rule that it broke. NULL: no unit, or no rule. A connection
 * that is not let in is of the unit that its certificate names, whatever role it asks for. Without
 * a certificate ("-") it counts only if it asks for the role of a peer. A unit that asks for what a
 * peer may ask is honest perhaps, and no peer yet or no more. */
static const char *
rule_broken(const ErrorData *error, const char *peer, way_t way, const char **whose, way_t *by)
{
    if (peer[0] != '\0') {
        *whose = peer;
        *by = way;
        return rule_of_error(error, false);
    }
    if (MyProcPort != NULL) {
        Port       *port = MyProcPort;
        bool        named = port->peer_cert_valid && port->peer_cn != NULL;
        const char *own;
        way_t       own_way;

        if (!ClientAuthInProgress || port->user_name == NULL
            || (!named && refusals_peer(port->user_name, by) == NULL) || error->elevel != FATAL
            || ERRCODE_TO_CATEGORY(error->sqlerrcode)
                   != ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
        {
            return NULL;
        }
        *whose = named ? port->peer_cn : "-";
        own = named ? refusals_peer(port->user_name, by) : NULL;
        own_way = *by;
        *by = BY_LOGIN;
        return own != NULL && own_way != BY_MESH && strcmp(own, port->peer_cn) == 0
                       && am_walsender == am_db_walsender
                       && strcmp(port->database_name, "punit") == 0
                   ? "not-a-peer"
                   : "login";
    }
    if (MyLogicalRepWorker != NULL && MySubscription != NULL
        && strncmp(MySubscription->name, "punit_from_", 11) == 0)
    {
        *whose = MySubscription->name + 11;
        *by = BY_MESH;
        return rule_of_error(error, true);
    }
    return NULL;
}


void
refusals_note(ErrorData *error, const char *peer, way_t way)
{
    const char *whose = NULL, *rule;
    const char *before = error->detail_log != NULL ? error->detail_log : error->detail;
    char        name[PEER_MAX + 1];
    way_t       by = BY_LOGIN;

    rule = rule_broken(error, peer, way, &whose, &by);
    if (rule == NULL) {
        return;
    }
    strlcpy(name, whose, sizeof(name));
    for (char *c = name; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-')) {
            *c = '?';
        }
    }
    if (strcmp(whose, "-") == 0) {
        strlcpy(name, "-", sizeof(name));
    }
    refusals_count(name, by, rule, false);
    error->detail_log =
        psprintf("refused peer=%s source=session role=%s rule=%s%s%s", name, ways[by].name, rule,
                 before != NULL ? ". " : "", before != NULL ? before : "");
}


static const char *
show_refused(void)
{
    static char text[32];

    LWLockAcquire(counts->lock, LW_SHARED);
    snprintf(text, sizeof(text), INT64_FORMAT, counts->ended);
    LWLockRelease(counts->lock);
    return text;
}


/* The counts as JSON. */
static const char *
show_refusals(void)
{
    static count_t copy[COUNTS_MAX];
    StringInfoData text;
    int            n = 0;

    LWLockAcquire(counts->lock, LW_SHARED);
    for (int i = 0; i < COUNTS_MAX; i++) {
        if (counts->count[i].n > 0) {
            copy[n++] = counts->count[i];
        }
    }
    LWLockRelease(counts->lock);
    initStringInfo(&text);
    appendStringInfoChar(&text, '[');
    for (int i = 0; i < n; i++) {
        appendStringInfo(&text, "%s{\"peer\":", i > 0 ? "," : "");
        escape_json(&text, copy[i].peer);
        appendStringInfo(&text,
                         ",\"role\":\"%s\",\"rule\":\"%s\",\"n\":" INT64_FORMAT
                         ",\"first_at\":\"%s\"",
                         ways[copy[i].way].name, copy[i].rule, copy[i].n,
                         timestamptz_to_str(copy[i].first));
        appendStringInfo(&text, ",\"last_at\":\"%s\"}", timestamptz_to_str(copy[i].last));
    }
    appendStringInfoChar(&text, ']');
    return text.data;
}


void
refusals_request(void)
{
    RequestAddinShmemSpace(sizeof(counts_t));
    RequestNamedLWLockTranche("punit_refusals", 1);
}


void
refusals_take(void)
{
    bool found;

    counts = ShmemInitStruct("punit_refusals", sizeof(counts_t), &found);
    if (!found) {
        memset(counts, 0, sizeof(*counts));
        counts->lock = &GetNamedLWLockTranche("punit_refusals")->lock;
    }
}


void
refusals_define(void)
{
    DefineCustomIntVariable("punit_guard.refused",
                            "How often a session of a peer was ended since PostgreSQL started.",
                            NULL, &refused_setting, 0, 0, INT_MAX, PGC_INTERNAL, GUC_NOT_IN_SAMPLE,
                            NULL, NULL, show_refused);
    DefineCustomIntVariable("punit_guard.refusals",
                            "What sessions of peers were refused since PostgreSQL started: JSON.",
                            NULL, &refusals_setting, 0, 0, INT_MAX, PGC_INTERNAL,
                            GUC_NOT_IN_SAMPLE | GUC_SUPERUSER_ONLY, NULL, NULL, show_refusals);
}
