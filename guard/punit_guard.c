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
#include "guard/refusals.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/replnodes.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 180000
#error "known for PostgreSQL 15, 16 and 17 (18 has no replication_parse_result)"
#endif

PG_MODULE_MAGIC;

#define COPIES_MAX  256
#define COPIES_EACH 12 /* a subscription copies 4 tables at a time; a slot may outlive a crash */

/* The peer that made a slot for the first copy of a table. The slot's name has the subscriber's
 * numbers, which another peer could guess. A restart forgets this: then such a slot belongs to the
 * first peer that uses it. */
typedef struct {
    char slot[NAMEDATALEN];
    char peer[PEER_MAX + 1];
} copy_t;

typedef struct {
    LWLock *lock;
    copy_t  copy[COPIES_MAX];
} guard_t;

void _PG_init(void);

static guard_t                       *guard;
static char                           peer[PEER_MAX + 1]; /* of this session; empty: none */
static way_t                          way;
static bool                           refusing; /* the error is this library's, and counted */
static bool                           log_is_ours;
static shmem_request_hook_type        before_request;
static shmem_startup_hook_type        before_startup;
static ClientAuthentication_hook_type before_authentication;
static emit_log_hook_type             before_log;
static ProcessUtility_hook_type       before_utility;


/* Ends the session. */
static void
refuse(const char *rule, const char *what)
{
    refusals_count(peer, way, rule, true);
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
        refusals_note(error, peer, way);
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
    of = refusals_peer(port->user_name, &way);
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


static void
request_memory(void)
{
    if (before_request != NULL) {
        before_request();
    }
    RequestAddinShmemSpace(sizeof(guard_t));
    RequestNamedLWLockTranche("punit_guard", 1);
    refusals_request();
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
    refusals_take();
    LWLockRelease(AddinShmemInitLock);
}


void
_PG_init(void)
{
    if (!process_shared_preload_libraries_in_progress) {
        ereport(ERROR, (errmsg("punit_guard is a library for shared_preload_libraries")));
    }
    refusals_define();
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
