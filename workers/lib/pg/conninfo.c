#include "lib/pg/conninfo.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/config.h"

/* Characters of a value that libpq reads without quotes. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-"

#define DEFAULT_DEADLINE_MS 5000

typedef struct {
    const char *keyword;
    const char *value; /* NULL: no such setting */
} setting_t;

/* A connection whose peer stays silent for 10 s ends. The keepalives notice that on an idle one.
 * A program that waits for less has a deadline of its own. */
static const setting_t timeouts[] = {
    { "connect_timeout", "5" },    { "keepalives", "1" },
    { "keepalives_idle", "5" },    { "keepalives_interval", "2" },
    { "keepalives_count", "3" },   { "tcp_user_timeout", "10000" },
    { "client_encoding", "UTF8" }, { NULL, NULL },
};


punit_identity_t
punit_conninfo_identity(void)
{
    return (punit_identity_t){
        .unit = punit_config.unit,
        .cert = punit_config_text("PUNIT_TLS_CERT", NULL),
        .key = punit_config_text("PUNIT_TLS_KEY", NULL),
        .ca = punit_config_text("PUNIT_TLS_CA", NULL),
    };
}


char *
punit_conninfo_own(const char *user, const char *application)
{
    char *conninfo;

    if (asprintf(&conninfo,
                 "%s user=%s application_name=%s client_encoding=UTF8 connect_timeout=2 "
                 "options='-c search_path= -c TimeZone=UTC -c statement_timeout=%d "
                 "-c idle_in_transaction_session_timeout=10000'",
                 punit_config.pg, user, application,
                 punit_config.deadline_ms > 0 ? punit_config.deadline_ms : DEFAULT_DEADLINE_MS)
        < 0)
    {
        return NULL;
    }

    return conninfo;
}


/* The value for a keyword, NULL when the table has none. */
static const char *
setting(const setting_t *table, const char *keyword)
{
    for (const setting_t *s = table; s->keyword != NULL; s++) {
        if (strcmp(s->keyword, keyword) == 0) {
            return s->value;
        }
    }

    return NULL;
}


static void
write_setting(FILE *f, const char *keyword, const char *value)
{
    bool plain = *value != '\0' && value[strspn(value, PLAIN)] == '\0';

    fprintf(f, "%s%s=", ftell(f) > 0 ? " " : "", keyword);

    if (plain) {
        fputs(value, f);
        return;
    }

    fputc('\'', f);

    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\') {
            fputc('\\', f);
        }

        fputc(*p, f);
    }

    fputc('\'', f);
}


/* `pg` with what `first` and `ours` say, and with `defaults` where it is silent. malloc'ed. NULL
 * when it is malformed or memory is short. */
static char *
merge(const char *pg, const setting_t *first, const setting_t *ours, const setting_t *defaults)
{
    char             *text = NULL;
    size_t            size;
    PQconninfoOption *given = PQconninfoParse(pg, NULL);
    FILE             *f = given != NULL ? open_memstream(&text, &size) : NULL;

    if (f == NULL) {
        PQconninfoFree(given);
        return NULL;
    }

    /* PQconninfoParse lists every keyword of libpq, with the value that was given or NULL. */
    for (const PQconninfoOption *o = given; o->keyword != NULL; o++) {
        const char *values[] = {
            setting(first, o->keyword),
            setting(ours, o->keyword),
            o->val,
            setting(defaults, o->keyword),
        };
        size_t i = 0;

        while (i < 4 && values[i] == NULL) {
            i++;
        }

        if (i < 4) {
            write_setting(f, o->keyword, values[i]);
        }
    }

    PQconninfoFree(given);

    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }

    return text;
}


char *
punit_conninfo_peer(const char *pg, const punit_identity_t *self, const char *application,
                    const char *options)
{
    char role[80];

    snprintf(role, sizeof(role), "punit_peer_%s", self->unit != NULL ? self->unit : "");

    const setting_t defaults[] = {
        { "dbname", "punit" },
        { "user", self->unit != NULL ? role : NULL },
        { "sslmode", "verify-full" },
        { "sslcert", self->cert },
        { "sslkey", self->key },
        { "sslrootcert", self->ca },
        { NULL, NULL },
    };
    const setting_t ours[] = {
        { "application_name", application },
        { "options", options },
        { NULL, NULL },
    };

    return merge(pg, timeouts, ours, defaults);
}


char *
punit_conninfo_as(const char *pg, const char *user)
{
    static const setting_t none[] = { { NULL, NULL } };
    const setting_t        ours[] = { { "user", user }, { NULL, NULL } };

    return merge(pg, ours, none, none);
}
