/*
 * One HTTP request, by libcurl.
 */
#ifndef PUNITCTL_UNIT_REQUEST_H
#define PUNITCTL_UNIT_REQUEST_H

#include <curl/curl.h>

typedef struct {
    long        status; /* 0: there is no answer */
    const char *body;   /* "" without an answer */
    const char *reason; /* why there is no answer */
} request_answer_t;

/* Sends what `curl` is set up for, past any proxy, and waits for at most 5 s. Frees `curl`, which
 * may be NULL: that is no memory. */
request_answer_t request_send(CURL *curl, const char *url);

#endif
