#include "punitctl/unit/sql_script.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "punitctl/pool.h"


static bool
is_word(char c)
{
    return isalnum((unsigned char) c) || c == '_' || (c & 0x80);
}


/* Behind a quoted text; a doubled quote ends one and begins the next. */
static const char *
past_quotes(const char *at, bool escapes)
{
    char quote = *at++;

    while (*at != '\0' && *at != quote) {
        at += escapes && *at == '\\' && at[1] != '\0' ? 2 : 1;
    }
    return *at != '\0' ? at + 1 : at;
}


/* Behind $tag$...$tag$; or behind the dollar, if no tag follows. */
static const char *
past_dollars(const char *at)
{
    const char *end = at + 1;

    while (is_word(*end)) {
        end++;
    }
    if (*end != '$') {
        return at + 1;
    }

    const char *tag = pool_copy(at, (size_t) (end + 1 - at));
    const char *close = strstr(end + 1, tag);

    return close != NULL ? close + strlen(tag) : end + strlen(end);
}


static const char *
past_comment(const char *at)
{
    const char *end = *at == '-' ? strchr(at, '\n') : strstr(at, "*/");

    return end == NULL ? at + strlen(at) : *at == '-' ? end : end + 2;
}


static bool
at_comment(const char *at)
{
    return strncmp(at, "--", 2) == 0 || strncmp(at, "/*", 2) == 0;
}


/* Blanks and comments in front of a statement. */
static const char *
past_blanks(const char *at)
{
    for (;;) {
        if (isspace((unsigned char) *at)) {
            at++;
        } else if (at_comment(at)) {
            at = past_comment(at);
        } else {
            return at;
        }
    }
}


static bool
is(const char *word, size_t n, const char *other)
{
    return strlen(other) == n && strncasecmp(word, other, n) == 0;
}


/* Behind the semicolon that ends the statement. The body of a function in standard SQL
 * (begin atomic ... end) holds semicolons of its own. */
static const char *
past_statement(const char *at)
{
    int depth = 0;

    while (*at != '\0') {
        if (at_comment(at)) {
            at = past_comment(at);
        } else if (*at == '\'' || *at == '"') {
            at = past_quotes(at, false);
        } else if (*at == '$') {
            at = past_dollars(at);
        } else if (is_word(*at)) {
            const char *word = at;

            while (is_word(*at)) {
                at++;
            }

            size_t n = (size_t) (at - word);

            if (is(word, n, "e") && *at == '\'') {
                at = past_quotes(at, true);
            } else if (is(word, n, "begin")) {
                depth += strncasecmp(past_blanks(at), "atomic", 6) == 0;
            } else if (is(word, n, "case")) {
                depth += depth > 0;
            } else if (is(word, n, "end")) {
                depth -= depth > 0;
            }
        } else if (*at++ == ';' && depth == 0) {
            return at;
        }
    }
    return at;
}


static long
lines(const char *from, const char *to)
{
    long n = 0;

    for (; from < to; from++) {
        n += *from == '\n';
    }
    return n;
}


/* The place of a character by its number, from 1; the server counts characters, not bytes. */
static const char *
character(const char *script, const char *number)
{
    long left = strtol(number, NULL, 10);

    for (; *script != '\0' && left > 1; script++) {
        left -= (script[1] & 0xc0) != 0x80;
    }
    return script;
}


const char *
sql_script_error(const PGresult *result, const char *name, const char *script,
                 const char *statement, long line)
{
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    const char *inner = PQresultErrorField(result, PG_DIAG_INTERNAL_POSITION);
    const char *query = PQresultErrorField(result, PG_DIAG_INTERNAL_QUERY);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    const char *body = query != NULL && inner != NULL ? strstr(script, query) : NULL;

    if (body != NULL) {
        line = 1 + lines(script, body + (character(query, inner) - query));
    } else if (position != NULL && statement != NULL) {
        line += lines(statement, character(statement, position));
    }
    return pool_printf("%s line %ld: %s%s%s%s%s%s", name, line,
                       message != NULL ? message : "no answer", detail != NULL ? " (" : "",
                       detail != NULL ? detail : "", detail != NULL ? ")" : "",
                       context != NULL ? ", in " : "", context != NULL ? context : "");
}


static sql_script_result_t
judge(const char *state)
{
    /* PostgreSQL, appendix A: undefined function, table, object, column; invalid definition of a
     * function, of a table; ambiguous function, as beside its former signature */
    static const char *const later[] = { "42883", "42P01", "42704", "42703" };
    static const char *const replace[] = { "42P13", "42P16", "42725" };

    for (size_t i = 0; state != NULL && i < sizeof(later) / sizeof(*later); i++) {
        if (strcmp(state, later[i]) == 0) {
            return SQL_SCRIPT_LATER;
        }
    }
    for (size_t i = 0; state != NULL && i < sizeof(replace) / sizeof(*replace); i++) {
        if (strcmp(state, replace[i]) == 0) {
            return SQL_SCRIPT_REPLACE;
        }
    }
    return SQL_SCRIPT_FAILED;
}


/* Whether the statement would end the transaction, or a savepoint of ours. */
static bool
ends_transaction(const char *statement)
{
    static const char *const words[] = { "begin", "start",     "commit",  "end",
                                         "abort", "savepoint", "release", "rollback" };
    size_t                   n = 0;

    while (is_word(statement[n])) {
        n++;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (is(statement, n, words[i])) {
            return true;
        }
    }
    return false;
}


static sql_script_result_t
run_statement(PGconn *db, const char *name, const char *script, const char *begin, const char *end,
              const char **error)
{
    const char         *statement = pool_copy(begin, (size_t) (end - begin));
    long                line = 1 + lines(script, begin);
    sql_script_result_t judged = SQL_SCRIPT_DONE;
    PGresult           *result;
    ExecStatusType      status;

    if (ends_transaction(statement)) {
        *error = pool_printf("%s line %ld: a file may not end the transaction", name, line);
        return SQL_SCRIPT_FAILED;
    }
    result = PQexec(db, statement);
    status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        *error = sql_script_error(result, name, script, statement, line);
        judged = judge(PQresultErrorField(result, PG_DIAG_SQLSTATE));
    }
    PQclear(result);
    return judged;
}


sql_script_result_t
sql_script_run(PGconn *db, const char *name, const char *script, const char **error)
{
    sql_script_result_t result = SQL_SCRIPT_DONE;
    const char         *begin = past_blanks(script);

    while (*begin != '\0' && result == SQL_SCRIPT_DONE) {
        const char *end = past_statement(begin);

        result = run_statement(db, name, script, begin, end, error);
        begin = past_blanks(end);
    }
    return result;
}
