/*
 * Stands in for a worker: it answers each FastCGI request with 1 KiB and the
 * headers of an answer about an owned user. Like the workers, it uses libfcgi,
 * with a thread for each connection that NGINX keeps.
 *
 *     responder SOCKET THREADS
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcgiapp.h>

static int  listening;
static char body[1024];

static void *
serve(void *arg)
{
    FCGX_Request request;

    (void) arg;

    if (FCGX_InitRequest(&request, listening, 0) != 0) {
        return NULL;
    }

    while (FCGX_Accept_r(&request) == 0) {
        FCGX_FPrintF(request.out,
                     "Status: 200\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                     "Punit-Owner: eu; epoch=1\r\n\r\n",
                     (int) sizeof(body));
        FCGX_PutStr(body, sizeof(body), request.out);
        FCGX_Finish_r(&request);
    }

    return NULL;
}


int
main(int argc, char **argv)
{
    int       i, threads;
    pthread_t thread;

    threads = argc == 3 ? atoi(argv[2]) : 0;

    if (threads < 1) {
        fprintf(stderr, "usage: responder SOCKET THREADS\n");
        return 2;
    }

    memset(body, 'x', sizeof(body));

    if (FCGX_Init() != 0 || (listening = FCGX_OpenSocket(argv[1], 511)) < 0) {
        fprintf(stderr, "responder: %s cannot be listened on\n", argv[1]);
        return 1;
    }

    for (i = 1; i < threads; i++) {
        if (pthread_create(&thread, NULL, serve, NULL) != 0) {
            fprintf(stderr, "responder: no thread %d\n", i);
            return 1;
        }
    }

    serve(NULL);

    return 1;
}
