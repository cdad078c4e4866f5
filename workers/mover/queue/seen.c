#include "mover/queue/seen.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Reports come at most once a second for a user; what does not fit is reported again. */
#define SEEN_MAX 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char            users[SEEN_MAX][USER_SIZE];
static size_t          nusers;
static int             wake = -1;


int
seen_open(void)
{
    return wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}


int
seen_fd(void)
{
    return wake;
}


void
seen_add(const char *user)
{
    uint64_t one = 1;

    pthread_mutex_lock(&lock);

    if (nusers < SEEN_MAX) {
        memcpy(users[nusers++], user, USER_SIZE);
    }

    pthread_mutex_unlock(&lock);

    /* a full counter is readable all the same */
    if (write(wake, &one, sizeof(one)) < 0) {
        return;
    }
}


char *
seen_take(void)
{
    uint64_t n;
    char    *text = NULL;

    if (read(wake, &n, sizeof(n)) < 0) {
        return NULL;
    }

    pthread_mutex_lock(&lock);

    if (nusers > 0 && (text = malloc(nusers * USER_SIZE + 2)) != NULL) {
        char *p = text;

        for (size_t i = 0; i < nusers; i++) {
            *p++ = i == 0 ? '{' : ',';
            memcpy(p, users[i], USER_SIZE - 1);
            p += USER_SIZE - 1;
        }

        *p++ = '}';
        *p = '\0';
    }

    nusers = 0;
    pthread_mutex_unlock(&lock);
    return text;
}
