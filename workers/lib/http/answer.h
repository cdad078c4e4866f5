/* Answer: what a route gives back, before it becomes FastCGI output. */
#ifndef PUNIT_LIB_HTTP_ANSWER_H
#define PUNIT_LIB_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    int         status; /* 0 = 200 */
    const char *type;   /* Content-Type, default application/json */
    const char *body;   /* NULL = none */
    size_t      length; /* of body; 0 with a body = strlen */
    const char *etag;   /* with its quotes; made by the library for a GET's 200 when NULL */
    const char *location;
    const char *owner_unit; /* Punit-Owner: <unit>; epoch=<n> */
    long long   owner_epoch;
    const char *author; /* Punit-Author, with 421 */
    long        stale;  /* Punit-Stale in seconds, used when is_stale */
    bool        is_stale;
    const char *allow;    /* methods, 405 and OPTIONS */
    bool        no_store; /* Cache-Control: no-store (answers with tokens) */
} punit_answer_t;

#endif
