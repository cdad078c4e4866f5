/* Plan: the statements that move each registered table (punit.move_plan). Each local connection has
 * its own plan, because the staging tables belong to the connection. */
#ifndef PUNIT_MOVER_MOVE_PLAN_H
#define PUNIT_MOVER_MOVE_PLAN_H

#include "mover/link.h"

#define SHAPE_SIZE  33   /* An MD5 in hex. */
#define MONTHS_SIZE 8192 /* Of punit.months(): 250 months of a table take 3 KiB. */

typedef struct {
    char *tab;
    char *copy_out;  /* At the old owner. */
    char *stage_in;  /* The lines of a delta. */
    char *staged;    /* The table that holds these lines. */
    char *direct_in; /* The lines of a full copy. */
    char *remove;    /* The staged keys. */
    char *enter;     /* The staged rows. */
    char *bury;      /* The keys of staged tombstones; NULL for tombstones and dedup. */
} plan_table_t;

typedef struct {
    char          shape[SHAPE_SIZE]; /* The MD5 of punit.shape(). */
    int           ntables;
    plan_table_t *tables;              /* The first is punit.tomb. */
    char          months[MONTHS_SIZE]; /* Partitions of a peer that exist here too, as last made. */
} plan_t;

/* Reads the plan and makes the staging tables. False when the database fails. */
bool plan_load(plan_t *plan, link_t *local);
void plan_free(plan_t *plan);

#endif
