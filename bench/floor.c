/*
 * The least that a move needs, on warm connections: the rows of one user from
 * COPY to COPY, and a commit at each of two databases.
 *
 *     floor PEER OLD NEW
 *
 * The arguments are conninfos. PEER is the old owner's database as the mover
 * of the new owner reaches it. OLD and NEW are the databases of the old and
 * the new owner, as their superusers. Each line of input is answered with
 * milliseconds:
 *
 *     tables USER  all rows of the user, table by table, applied by one commit
 *     copy USER    the same in one round trip, applied as the rows arrive
 *     pair         one row updated and committed at OLD, then at NEW
 *     trip         to PEER and back, nothing done there
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#define TABLES_MAX 64

static PGconn *peer, *old, *new;
static int     ntables;
static char   *copy_out[TABLES_MAX], *copy_in[TABLES_MAX];

static void
fail(PGconn *c)
{
    fprintf(stderr, "floor: %s", PQerrorMessage(c));
    exit(1);
}


static PGconn *
reach(const char *conninfo)
{
    PGconn *c = PQconnectdb(conninfo);

    if (PQstatus(c) != CONNECTION_OK) {
        fail(c);
    }

    return c;
}


static PGresult *
run(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);

    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK
        && PQresultStatus(r) != PGRES_COPY_IN && PQresultStatus(r) != PGRES_COPY_OUT
        && PQresultStatus(r) != PGRES_EMPTY_QUERY)
    {
        fail(c);
    }

    return r;
}


static void
plan(void)
{
    PGresult *r = run(new, "select copy_out, direct_in from punit.move_plan()");

    ntables = PQntuples(r) < TABLES_MAX ? PQntuples(r) : TABLES_MAX;

    for (int i = 0; i < ntables; i++) {
        copy_out[i] = strdup(PQgetvalue(r, i, 0));
        copy_in[i] = strdup(PQgetvalue(r, i, 1));
    }

    PQclear(r);
}


/* The next COPY of the peer's answer, after the results of other commands. */
static void
next_copy(void)
{
    PGresult *r;

    while ((r = PQgetResult(peer)) != NULL) {
        ExecStatusType status = PQresultStatus(r);

        PQclear(r);

        if (status == PGRES_COPY_OUT) {
            return;
        }
    }

    fail(peer);
}


/* Prepares the peer's COPYs of this user's rows, in a new transaction. */
#define BEGIN                                           \
    "begin isolation level repeatable read read only; " \
    "select set_config('punit.user', '%s', true), "     \
    "set_config('punit.base', '-1', true)"

static void
done(PGconn *c)
{
    for (PGresult *r; (r = PQgetResult(c)) != NULL; PQclear(r)) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK) {
            fail(c);
        }
    }
}


/* Applies the rows of the peer's COPY. Without a row, no COPY begins here. */
static void
pass(int table)
{
    char *line;
    int   n, open = 0;

    while ((n = PQgetCopyData(peer, &line, 0)) > 0) {
        if (!open) {
            PQclear(run(new, copy_in[table]));
            open = 1;
        }

        if (PQputCopyData(new, line, n) != 1) {
            fail(new);
        }

        PQfreemem(line);
    }

    if (n != -1) {
        fail(peer);
    }

    if (open) {
        PQputCopyEnd(new, NULL);
        done(new);
    }
}


static void
tables(const char *user)
{
    char sql[256];

    snprintf(sql, sizeof(sql), BEGIN, user);
    PQclear(run(peer, sql));
    PQclear(run(new, "begin"));

    for (int i = 0; i < ntables; i++) {
        PQclear(run(peer, copy_out[i]));
        pass(i);
        done(peer);
    }

    PQclear(run(new, "commit"));
    PQclear(run(peer, "commit"));
}


static void
copy(const char *user)
{
    char  *sql;
    size_t size;
    FILE  *f = open_memstream(&sql, &size);

    fprintf(f, BEGIN, user);

    for (int i = 0; i < ntables; i++) {
        fprintf(f, "; %s", copy_out[i]);
    }

    fputs("; commit", f);
    fclose(f);

    if (PQsendQuery(peer, sql) != 1) {
        fail(peer);
    }

    free(sql);
    PQclear(run(new, "begin"));

    for (int i = 0; i < ntables; i++) {
        next_copy();
        pass(i);
    }

    PQclear(run(new, "commit"));
    done(peer);
}


static void
commits(void)
{
    static const char sql[] = "update bench.pair set n = n + 1";

    PQclear(run(old, sql));
    PQclear(run(new, sql));
}


static double
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}


int
main(int argc, char **argv)
{
    static const char prepare[] =
        "set client_min_messages = error; set session_replication_role = replica; set jit = off; "
        "create schema if not exists bench; "
        "create table if not exists bench.pair (n bigint not null); "
        "insert into bench.pair select 0 where not exists (select from bench.pair)";
    char line[128];

    if (argc != 4) {
        fprintf(stderr, "usage: floor PEER OLD NEW\n");
        return 2;
    }

    peer = reach(argv[1]);
    old = reach(argv[2]);
    new = reach(argv[3]);
    PQclear(run(peer, "set jit = off"));
    PQclear(run(old, prepare));
    PQclear(run(new, prepare));
    plan();

    while (fgets(line, sizeof(line), stdin) != NULL) {
        double began = now_ms();

        line[strcspn(line, "\n")] = '\0';

        if (strncmp(line, "copy ", 5) == 0) {
            copy(line + 5);
        } else if (strncmp(line, "tables ", 7) == 0) {
            tables(line + 7);
        } else if (strcmp(line, "pair") == 0) {
            commits();
        } else {
            PQclear(run(peer, ";"));
        }

        printf("%.3f\n", now_ms() - began);
        fflush(stdout);
    }

    return 0;
}
