/* Rows: the COPYs of all tables from the owner, and how they get into the tables here. The rows of
 * a full copy go straight in. Those of a delta go into staging tables first. */
#ifndef PUNIT_MOVER_MOVE_ROWS_H
#define PUNIT_MOVER_MOVE_ROWS_H

#include "mover/move/plan.h"
#include "mover/move/snapshot.h"

typedef struct {
    link_t       *local;
    const plan_t *plan;
    snapshot_t   *snapshot;
    int           copying;    /* The table whose COPY is open; -1: none. */
    bool         *staged;     /* For each table: it has staged rows. */
    bool         *buried;     /* For each table: tombstones name it. */
    const char   *user;       /* Whose rows may come. */
    long long     lines;      /* That the open COPY got. */
    long long     others;     /* Lines of another user or ver. The database has left them out. */
    bool          failed;     /* This unit's database failed, and `error` says why. */
    char          error[512]; /* The first one. */
} rows_t;

/* `user`: whose rows may come; it stays valid. False without memory. rows_free in either case. */
bool rows_init(rows_t *rows, link_t *local, const plan_t *plan, const char *user,
               snapshot_t *snapshot);
void rows_free(rows_t *rows);

/* Reads the COPYs of all tables and what follows them. Each line goes into this unit's database.
 * False when the peer failed. If this unit's database fails (rows->failed), the lines are read to
 * their end all the same. */
bool rows_receive(rows_t *rows, link_t *peer);

/* Ends a COPY that is open, after the peer failed. */
void rows_end_copy(rows_t *rows);

/* Moves the staged rows of a delta into the tables; false on an error. */
bool rows_enter(rows_t *rows);

/* Empties the staging tables, after the commit. A connection whose staging tables may not be empty
 * is closed. */
void rows_clear_stage(rows_t *rows);

#endif
