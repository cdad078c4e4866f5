/* Plan: the statements that move each registered table, as punit.move_plan() gives them; one for
 * each local connection, since the staging tables are the connection's own. */
#ifndef PUNIT_MOVER_MOVE_PLAN_H
#define PUNIT_MOVER_MOVE_PLAN_H

#include "mover/link.h"

#define SHAPE_SIZE  33   /* MD5 in hex */
#define MONTHS_SIZE 8192 /* of what punit.months() gives: 250 months of a table are 3 KiB */

typedef struct {
    char *tab;
    char *copy_out;  /* at the old owner */
    char *stage_in;  /* a delta's lines */
    char *staged;    /* the table that holds them */
    char *direct_in; /* all lines */
    char *remove;    /* the keys staged */
    char *enter;     /* the rows staged */
    char *bury;      /* the keys of staged tombstones; NULL for tombstones themselves and dedup */
} plan_table_t;

typedef struct {
    char          shape[SHAPE_SIZE]; /* md5 of punit.shape() */
    int           ntables;
    plan_table_t *tables;     /* the first is punit.tomb */
    char months[MONTHS_SIZE]; /* a peer's partitions that are here too: what was made last */
} plan_t;

/* Reads the plan and makes the staging tables. */
bool plan_load(plan_t *plan, link_t *local);
void plan_free(plan_t *plan);

#endif
