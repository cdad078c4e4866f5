/*
 * A library of PostgreSQL (shared_preload_libraries) that holds a peer's sessions to what a
 * subscription and the messages of a hand-over need.
 *
 * PostgreSQL has no grants for the commands of replication. A role with REPLICATION may copy the
 * whole cluster, read every table by a slot of its own, and consume the slot of another unit. A
 * peer logs in as punit_stream_<unit> or punit_peer_<unit>. Its sessions have these rights alone:
 *
 * They read the slot punit_to_<unit>, and of it the publications that are for this peer.
 *
 * They make, read and drop a few slots for the first copy of a table, and no such slot of others.
 *
 * Beside queries they run the statements of `allowed_utility`. So a peer sends no notice, listens
 * to none and runs no code of its own.
 *
 * PostgreSQL has no hook before a replication command. It writes each command to the log, after it
 * has parsed the command and before it runs the command. Then it calls emit_log_hook, and
 * replication_parse_result is the tree that it is about to execute: no text is looked at. An error
 * in that hook is an error during error processing, which elog.c is made for, and ends the session.
 * The sessions in question log these commands whatever postgresql.conf says. What is allowed is
 * taken out of the log again.
 *
 * The library counts its own refusals, and what PostgreSQL refuses a peer: rights, sessions, time,
 * disk, logins. emit_log_hook sees each such error, and the line of it gets a detail that names the
 * peer. The counts are in shared memory, which no error rolls back. `punit_guard.refusals` shows
 * them (punit.session_refusals). They begin anew when PostgreSQL starts.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/replnodes.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "replication/worker_internal.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 180000
#error "known for PostgreSQL 15, 16 and 17 (18 has no replication_parse_result)"
#endif

PG_MODULE_MAGIC;

#define PEER_MAX    32 /* a unit's id, as punit.peer checks it */
#define COPIES_MAX  256
#define COPIES_EACH 12 /* a subscription copies 4 tables at a time; a slot may outlive a crash */
#define COUNTS_MAX  1024

/* The peer that made a slot for the first copy of a table. The slot's name has the subscriber's
 * numbers, which another peer could guess. A restart forgets this: then such a slot belongs to the
 * first peer that uses it. */
typedef struct {
    char slot[NAMEDATALEN];
    char peer[PEER_MAX + 1];
} copy_t;

/* How a peer came here: which of its roles, or none yet. */
typedef enum { BY_PEER, BY_STREAM, BY_MESH, BY_LOGIN } way_t;

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
    int64   refused;
    copy_t  copy[COPIES_MAX];
    count_t count[COUNTS_MAX];
} guard_t;

void _PG_init(void);

static guard_t                       *guard;
static char                           peer[PEER_MAX + 1]; /* of this session; empty: none */
static way_t                          way;
static bool                           refusing; /* the error is this library's, and counted */
static bool                           log_is_ours;
static int                            refused_setting, refusals_setting;
static shmem_request_hook_type        before_request;
static shmem_startup_hook_type        before_startup;
static ClientAuthentication_hook_type before_authentication;
static emit_log_hook_type             before_log;
static ProcessUtility_hook_type       before_utility;


static const struct {
    const char *prefix, *name;
} ways[] = {
    [BY_PEER] = { "punit_peer_", "peer" },
    [BY_STREAM] = { "punit_stream_", "stream" },
    [BY_MESH] = { "punit_mesh_", "mesh" },
    [BY_LOGIN] = { NULL, "login" },
};


/* The unit that a role is for. NULL: for none. */
static const char *
peer_of_role(const char *role, way_t *by)
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
        count_t *count = &guard->count[i];

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
    guard->count[COUNTS_MAX - 1].peer[0] = '*';
    guard->count[COUNTS_MAX - 1].rule = "no-room";
    return &guard->count[COUNTS_MAX - 1];
}


/* Each rule is a string constant. */
static void
count_refusal(const char *whose, way_t by, const char *rule, bool ended)
{
    TimestampTz now = GetCurrentTimestamp();
    count_t    *count;

    LWLockAcquire(guard->lock, LW_EXCLUSIVE);
    count = find_count(whose, by, rule);
    if (count->n++ == 0) {
        count->first = now;
    }
    count->last = now;
    guard->refused += ended;
    LWLockRelease(guard->lock);
}


/* Ends the session. */
static void
refuse(const char *rule, const char *what)
{
    count_refusal(peer, way, rule, true);
    refusing = true;
    ereport(FATAL, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg_internal("refused peer=%s source=session rule=%s %.60s", peer, rule,
                                    what != NULL ? what : "")));
}


static bool
is_own_slot(const char *name)
{
    char own[NAMEDATALEN];

    snprintf(own, sizeof(own), "punit_to_%s", peer);
    for (char *c = own; *c != '\0'; c++) {
        if (*c == '-') {
            *c = '_';
        }
    }
    return name != NULL && strcmp(name, own) == 0;
}


/* pg_<subscription>_sync_<table>_<system> */
static bool
is_copy_slot(const char *name)
{
    unsigned           subscription, table;
    unsigned long long system;
    int                n = 0;

    return name != NULL
           && sscanf(name, "pg_%u_sync_%u_%llu%n", &subscription, &table, &system, &n) == 3
           && name[n] == '\0';
}


/* The entry of a slot, or a free one if there is none: NULL if there is no room, or if `most` slots
 * belong to this peer already. Under the lock. */
static copy_t *
find_copy(const char *slot, int most)
{
    copy_t *free = NULL;
    int     own = 0;

    for (int i = 0; i < COPIES_MAX; i++) {
        copy_t *copy = &guard->copy[i];

        if (strcmp(copy->slot, slot) == 0) {
            return copy;
        }
        if (copy->slot[0] == '\0') {
            free = free != NULL ? free : copy;
        } else if (strcmp(copy->peer, peer) == 0) {
            own++;
        }
    }
    return own < most ? free : NULL;
}


/* Forgets the slots that are gone. */
static void
sweep_copies(void)
{
    for (int i = 0; i < COPIES_MAX; i++) {
        char slot[NAMEDATALEN];

        LWLockAcquire(guard->lock, LW_SHARED);
        strlcpy(slot, guard->copy[i].slot, sizeof(slot));
        LWLockRelease(guard->lock);
        if (slot[0] == '\0' || SearchNamedReplicationSlot(slot, true) != NULL) {
            continue;
        }
        LWLockAcquire(guard->lock, LW_EXCLUSIVE);
        if (strcmp(guard->copy[i].slot, slot) == 0) {
            guard->copy[i].slot[0] = '\0';
        }
        LWLockRelease(guard->lock);
    }
}


/* Whether the slot is this peer's; it becomes so if nobody has it. */
static bool
owns_copy(const char *slot)
{
    copy_t *copy;
    bool    ok;

    sweep_copies();
    LWLockAcquire(guard->lock, LW_EXCLUSIVE);
    copy = find_copy(slot, COPIES_EACH);
    ok = copy != NULL && (copy->slot[0] == '\0' || strcmp(copy->peer, peer) == 0);
    if (ok) {
        strlcpy(copy->slot, slot, sizeof(copy->slot));
        strlcpy(copy->peer, peer, sizeof(copy->peer));
    }
    LWLockRelease(guard->lock);
    return ok;
}


static void
check_slot(const char *name)
{
    if (!is_own_slot(name) && (!is_copy_slot(name) || !owns_copy(name))) {
        refuse("slot", name);
    }
}


/* Each publication that the peer asks for is for all, or for this peer. */
static void
check_publications(const char *names)
{
    char      own[NAMEDATALEN];
    List     *list;
    ListCell *cell;

    snprintf(own, sizeof(own), "punit_messages_%s", peer);
    if (!SplitIdentifierString(pstrdup(names), ',', &list)) {
        refuse("publication", names);
    }
    foreach (cell, list) {
        const char *name = lfirst(cell);

        if (strcmp(name, "punit_reference") != 0 && strcmp(name, own) != 0) {
            refuse("publication", name);
        }
    }
}


static void
check_start(const StartReplicationCmd *command)
{
    ListCell *cell;

    if (command->kind != REPLICATION_KIND_LOGICAL) {
        refuse("physical", command->slotname);
    }
    check_slot(command->slotname);
    foreach (cell, command->options) {
        const DefElem *option = lfirst(cell);

        if (strcmp(option->defname, "publication_names") == 0 && option->arg != NULL) {
            check_publications(strVal(option->arg));
        }
    }
}


static void
check_create(const CreateReplicationSlotCmd *command)
{
    ListCell *cell;

    if (command->kind != REPLICATION_KIND_LOGICAL) {
        refuse("physical", command->slotname);
    }
    if (strcmp(command->plugin, "pgoutput") != 0) {
        refuse("plugin", command->plugin);
    }
    foreach (cell, command->options) {
        const char *option = ((const DefElem *) lfirst(cell))->defname;

        if (strcmp(option, "snapshot") != 0 && strcmp(option, "failover") != 0) {
            refuse("slot-option", option);
        }
    }
    check_slot(command->slotname);
}


static void
check_command(const Node *command)
{
    switch (nodeTag(command)) {
    case T_IdentifySystemCmd:
    case T_VariableShowStmt:
        break;
    case T_StartReplicationCmd:
        check_start((const StartReplicationCmd *) command);
        break;
    case T_CreateReplicationSlotCmd:
        check_create((const CreateReplicationSlotCmd *) command);
        break;
    case T_DropReplicationSlotCmd:
        check_slot(((const DropReplicationSlotCmd *) command)->slotname);
        break;
#if PG_VERSION_NUM >= 170000
    case T_AlterReplicationSlotCmd:
        check_slot(((const AlterReplicationSlotCmd *) command)->slotname);
        break;
#endif
    case T_BaseBackupCmd:
        refuse("base-backup", NULL);
        break;
    default:
        refuse("command", NULL);
    }
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
    case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
        return "login";
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


/* Who is behind an error, and which rule was broken. NULL: nobody, or none. A connection that is
 * not let in is of the unit that its certificate names, whatever role it asks for. Without a
 * certificate ("-") it counts only if it asks for the role of a peer. A unit that asks for what a
 * peer may ask is honest perhaps, and no peer yet or no more. */
static const char *
rule_broken(const ErrorData *error, const char **whose, way_t *by)
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
            || (!named && peer_of_role(port->user_name, by) == NULL) || error->elevel != FATAL
            || ERRCODE_TO_CATEGORY(error->sqlerrcode)
                   != ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
        {
            return NULL;
        }
        *whose = named ? port->peer_cn : "-";
        own = named ? peer_of_role(port->user_name, by) : NULL;
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


/* Counts the error, and gives its line of the log a detail that the peer is not sent. */
static void
note_error(ErrorData *error)
{
    const char *whose = NULL, *rule;
    const char *before = error->detail_log != NULL ? error->detail_log : error->detail;
    char        name[PEER_MAX + 1];
    way_t       by = BY_LOGIN;

    rule = rule_broken(error, &whose, &by);
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
    count_refusal(name, by, rule, false);
    error->detail_log =
        psprintf("refused peer=%s source=session role=%s rule=%s%s%s", name, ways[by].name, rule,
                 before != NULL ? ". " : "", before != NULL ? before : "");
}


static void
on_log(ErrorData *error)
{
    if (peer[0] != '\0' && am_walsender && error->elevel == LOG && error->message_id != NULL
        && strcmp(error->message_id, "received replication command: %s") == 0
        && error->funcname != NULL && strcmp(error->funcname, "exec_replication_command") == 0)
    {
        check_command(replication_parse_result);
        if (log_is_ours) {
            error->output_to_server = false;
        }
    }
    if (error->elevel >= ERROR && guard != NULL && MyProc != NULL && !refusing) {
        note_error(error);
    }
    if (before_log != NULL) {
        before_log(error);
    }
}


/* The peer is known before it can send a command. What is set here, a peer cannot change. */
static void
on_authentication(Port *port, int status)
{
    const char *of;

    if (before_authentication != NULL) {
        before_authentication(port, status);
    }
    if (status != STATUS_OK) {
        return;
    }
    of = peer_of_role(port->user_name, &way);
    if (of == NULL) {
        return;
    }
    strlcpy(peer, of, sizeof(peer));
    if (log_min_messages > ERROR) {
        SetConfigOption("log_min_messages", "error", PGC_SUSET, PGC_S_OVERRIDE);
    }
    if (!am_walsender) {
        return;
    }
    if (!am_db_walsender) {
        refuse("physical", "connection");
    }
    log_is_ours = !log_replication_commands;
    SetConfigOption("log_replication_commands", "on", PGC_SUSET, PGC_S_OVERRIDE);
}


/* What programs of a peer run beside queries. */
static bool
allowed_utility(const Node *statement)
{
    switch (nodeTag(statement)) {
    case T_TransactionStmt: {
        TransactionStmtKind kind = ((const TransactionStmt *) statement)->kind;

        return kind != TRANS_STMT_PREPARE && kind != TRANS_STMT_COMMIT_PREPARED
               && kind != TRANS_STMT_ROLLBACK_PREPARED;
    }
    case T_VariableSetStmt:
    case T_VariableShowStmt:
    case T_DiscardStmt:
    case T_PrepareStmt:
    case T_ExecuteStmt:
    case T_DeallocateStmt:
    case T_DeclareCursorStmt:
    case T_FetchStmt:
    case T_ClosePortalStmt:
    case T_ExplainStmt:
        return true;
    case T_CopyStmt: {
        const CopyStmt *copy = (const CopyStmt *) statement;

        return !copy->is_from && !copy->is_program && copy->filename == NULL;
    }
    default:
        return false;
    }
}


/* Only what the peer itself sends: a function of this unit, which the peer calls, may do more. */
static void
on_utility(PlannedStmt *statement, const char *query, bool readonly, ProcessUtilityContext context,
           ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver,
           QueryCompletion *completion)
{
    if (peer[0] != '\0' && context == PROCESS_UTILITY_TOPLEVEL
        && !allowed_utility(statement->utilityStmt))
    {
        refuse("statement", GetCommandTagName(CreateCommandTag(statement->utilityStmt)));
    }
    (before_utility != NULL ? before_utility
                            : standard_ProcessUtility)(statement, query, readonly, context, params,
                                                       environment, receiver, completion);
}


static const char *
show_refused(void)
{
    static char text[32];

    LWLockAcquire(guard->lock, LW_SHARED);
    snprintf(text, sizeof(text), INT64_FORMAT, guard->refused);
    LWLockRelease(guard->lock);
    return text;
}


/* The counts as JSON. */
static const char *
show_refusals(void)
{
    static count_t copy[COUNTS_MAX];
    StringInfoData text;
    int            n = 0;

    LWLockAcquire(guard->lock, LW_SHARED);
    for (int i = 0; i < COUNTS_MAX; i++) {
        if (guard->count[i].n > 0) {
            copy[n++] = guard->count[i];
        }
    }
    LWLockRelease(guard->lock);
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


static void
request_memory(void)
{
    if (before_request != NULL) {
        before_request();
    }
    RequestAddinShmemSpace(sizeof(guard_t));
    RequestNamedLWLockTranche("punit_guard", 1);
}


static void
take_memory(void)
{
    bool found;

    if (before_startup != NULL) {
        before_startup();
    }
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    guard = ShmemInitStruct("punit_guard", sizeof(guard_t), &found);
    if (!found) {
        memset(guard, 0, sizeof(*guard));
        guard->lock = &GetNamedLWLockTranche("punit_guard")->lock;
    }
    LWLockRelease(AddinShmemInitLock);
}


void
_PG_init(void)
{
    if (!process_shared_preload_libraries_in_progress) {
        ereport(ERROR, (errmsg("punit_guard is a library for shared_preload_libraries")));
    }
    DefineCustomIntVariable("punit_guard.refused",
                            "How often a session of a peer was ended since PostgreSQL started.",
                            NULL, &refused_setting, 0, 0, INT_MAX, PGC_INTERNAL, GUC_NOT_IN_SAMPLE,
                            NULL, NULL, show_refused);
    DefineCustomIntVariable("punit_guard.refusals",
                            "What sessions of peers were refused since PostgreSQL started: JSON.",
                            NULL, &refusals_setting, 0, 0, INT_MAX, PGC_INTERNAL,
                            GUC_NOT_IN_SAMPLE | GUC_SUPERUSER_ONLY, NULL, NULL, show_refusals);
    MarkGUCPrefixReserved("punit_guard");
    before_request = shmem_request_hook;
    shmem_request_hook = request_memory;
    before_startup = shmem_startup_hook;
    shmem_startup_hook = take_memory;
    before_authentication = ClientAuthentication_hook;
    ClientAuthentication_hook = on_authentication;
    before_log = emit_log_hook;
    emit_log_hook = on_log;
    before_utility = ProcessUtility_hook;
    ProcessUtility_hook = on_utility;
}
