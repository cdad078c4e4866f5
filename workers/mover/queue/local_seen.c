#include "mover/queue/local_seen.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A user who does not fit is reported again within a second. */
#define USERS_MAX 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char            users[USERS_MAX][USER_SIZE];
static size_t          nusers;
static int             wake = -1;


int
local_seen_open(void)
{
    return wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}


int
local_seen_fd(void)
{
    return wake;
}


void
local_seen_add(const char *user)
{
    uint64_t one = 1;

    pthread_mutex_lock(&lock);

    if (nusers < USERS_MAX) {
        memcpy(users[nusers++], user, USER_SIZE);
    }

    pthread_mutex_unlock(&lock);

    /* The write fails only on a full counter, which is readable too. */
    if (write(wake, &one, sizeof(one)) < 0) {
        return;
    }
}


char *
local_seen_take(void)
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
