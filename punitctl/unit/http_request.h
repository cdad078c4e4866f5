/*
 * One HTTP request, by libcurl.
 */
#ifndef PUNITCTL_UNIT_HTTP_REQUEST_H
#define PUNITCTL_UNIT_HTTP_REQUEST_H

#include <curl/curl.h>

typedef struct {
    long        status; /* 0: there is no answer */
    const char *body;   /* "" without an answer */
    const char *reason; /* why there is no answer */
} http_request_answer_t;

/* Sends what `curl` is set up for, past any proxy, and waits for at most 5 s. Frees `curl`, which
 * may be NULL: that is no memory. */
http_request_answer_t http_request_send(CURL *curl, const char *url);

#endif
