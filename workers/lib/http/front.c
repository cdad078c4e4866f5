#include "lib/http/front.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define PAUSE_MS 5 /* between two looks at the connections */

typedef enum { CLOSED, OPEN, RUNNING } state_t;

/* The lock keeps the state true to what the thread does, and orders the record that asks the front
 * to close before or after an answer, never within it. */
typedef struct {
    pthread_mutex_t lock;
    state_t         state;
    bool            old; /* from before punit_front_leave */
    int             fd;  /* beside libfcgi's own descriptor, which libfcgi closes when it likes */
} connection_t;

struct punit_front {
    int          listener;
    int          epoll;
    int          wake; /* eventfd: readable as soon as `shut` is true */
    int          threads;
    atomic_bool  leaving;
    atomic_bool  shut;
    connection_t connections[];
};


static bool
watch(const punit_front_t *front, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(front->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}


punit_front_t *
punit_front_create(int listener, int threads)
{
    punit_front_t *front = calloc(1, sizeof(*front) + (size_t) threads * sizeof(connection_t));

    if (front == NULL) {
        return NULL;
    }

    front->listener = listener;
    front->threads = threads;
    front->epoll = epoll_create1(EPOLL_CLOEXEC);
    front->wake = eventfd(0, EFD_CLOEXEC);

    for (int i = 0; i < threads; i++) {
        pthread_mutex_init(&front->connections[i].lock, NULL);
        front->connections[i].fd = -1;
    }

    if (front->epoll < 0 || front->wake < 0 || !watch(front, listener)
        || !watch(front, front->wake)) {
        free(front);
        return NULL;
    }

    return front;
}


/* The record: version, type, the one id that NGINX gives its requests, no content, no padding. If
 * the front does not read, the record would not help. */
static void
ask_to_close(const connection_t *c)
{
    static const unsigned char record[FCGI_HEADER_LEN] = { FCGI_VERSION_1, FCGI_STDERR, 0, 1 };

    send(c->fd, record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
}


/* Takes a connection under the lock, so that who looks after `shut` was set sees it. */
static int
take(punit_front_t *front, connection_t *c)
{
    int fd = -1;

    pthread_mutex_lock(&c->lock);

    if (!atomic_load(&front->shut)) {
        fd = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC);
        c->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    }

    if (fd >= 0) {
        c->state = OPEN;
        c->old = false;
    }

    pthread_mutex_unlock(&c->lock);
    return fd;
}


int
punit_front_accept(punit_front_t *front, int thread)
{
    struct epoll_event event;
    int                fd;

    while (!atomic_load(&front->shut)) {
        if (epoll_wait(front->epoll, &event, 1, -1) < 1) {
            continue;
        }

        if ((fd = take(front, &front->connections[thread])) >= 0) {
            return fd;
        }

        /* Out of descriptors or memory: the pause keeps this from spinning. */
        if (errno != EAGAIN) {
            punit_clock_pause(PAUSE_MS);
        }
    }

    return -1;
}


void
punit_front_closed(punit_front_t *front, int thread)
{
    connection_t *c = &front->connections[thread];

    pthread_mutex_lock(&c->lock);
    close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
    pthread_mutex_unlock(&c->lock);
}


void
punit_front_begin(punit_front_t *front, int thread)
{
    connection_t *c = &front->connections[thread];

    pthread_mutex_lock(&c->lock);
    c->state = RUNNING;
    pthread_mutex_unlock(&c->lock);
}


void
punit_front_end(punit_front_t *front, int thread)
{
    connection_t *c = &front->connections[thread];

    pthread_mutex_lock(&c->lock);
    c->state = OPEN;

    if (atomic_load(&front->leaving)) {
        ask_to_close(c);
    }

    pthread_mutex_unlock(&c->lock);
}


void
punit_front_leave(punit_front_t *front)
{
    atomic_store(&front->leaving, true);

    for (int i = 0; i < front->threads; i++) {
        connection_t *c = &front->connections[i];

        pthread_mutex_lock(&c->lock);
        c->old = c->state != CLOSED;

        if (c->state == OPEN) {
            ask_to_close(c);
        }

        pthread_mutex_unlock(&c->lock);
    }
}


void
punit_front_shut(punit_front_t *front)
{
    atomic_store(&front->shut, true);
    eventfd_write(front->wake, 1);
}


static int
count(punit_front_t *front, state_t least, bool old)
{
    int n = 0;

    for (int i = 0; i < front->threads; i++) {
        connection_t *c = &front->connections[i];

        pthread_mutex_lock(&c->lock);
        n += c->state >= least && (c->old || !old);
        pthread_mutex_unlock(&c->lock);
    }

    return n;
}


/* Waits until the count has been 0 for `quiet` ms. */
static bool
wait_none(punit_front_t *front, state_t least, bool old, int64_t ms, int64_t quiet)
{
    int64_t start = punit_clock_ms(), since = start;

    for (;;) {
        int64_t now = punit_clock_ms();

        if (count(front, least, old) > 0) {
            since = now + 1;
        } else if (now - since >= quiet) {
            return true;
        }

        if (now - start >= ms) {
            return false;
        }

        punit_clock_pause(PAUSE_MS);
    }
}


bool
punit_front_wait_old(punit_front_t *front, int64_t ms)
{
    return wait_none(front, OPEN, true, ms, 0);
}


bool
punit_front_wait_closed(punit_front_t *front, int64_t ms)
{
    return wait_none(front, OPEN, false, ms, 0);
}


bool
punit_front_wait_quiet(punit_front_t *front, int64_t ms, int64_t quiet)
{
    return wait_none(front, RUNNING, false, ms, quiet);
}


int
punit_front_running(punit_front_t *front)
{
    return count(front, RUNNING, false);
}
