/*
 * Password hashing: argon2id (RFC 9106) of libsodium, 19 MiB and two passes,
 * in threads of its own.  The threads bound both the memory (19 MiB each) and
 * the processor time a storm of logins can take; they run at a lower priority
 * than the threads that answer other requests.
 */

#ifndef PUNIT_AUTH_ARGON_H
#define PUNIT_AUTH_ARGON_H

#include <stdbool.h>
#include <stddef.h>

#define PUNIT_ARGON_OPS    2U
#define PUNIT_ARGON_MEMORY (19U * 1024U * 1024U) /* bytes */
#define PUNIT_ARGON_STR    128U                  /* room for "$argon2id$...", with its NUL */

typedef enum {
    PUNIT_ARGON_OK = 0,
    PUNIT_ARGON_MISMATCH, /* verify: the password is another one */
    PUNIT_ARGON_BUSY,     /* no room in the queue: answer 503 */
    PUNIT_ARGON_FAILED    /* no memory */
} punit_argon_rc;

typedef struct punit_argon punit_argon;

/*
 * Starts `threads` threads; at most `waiting` jobs queue for them.
 * NULL: no memory or no threads, or libsodium does not start.
 */
punit_argon *punit_argon_start(unsigned threads, unsigned waiting);

/* Ends the threads; jobs in the queue are still done. */
void punit_argon_stop(punit_argon *pool);

/* Hashes a password (length in bytes) into `out`; waits for its turn. */
punit_argon_rc punit_argon_hash(punit_argon *pool, const char *password, size_t len,
                                char out[PUNIT_ARGON_STR]);

/*
 * Is this the password that `hash` was made of?  `hash` NULL does the work of
 * a verification against a hash nobody knows the password of, and answers
 * MISMATCH: for names that do not exist.
 */
punit_argon_rc punit_argon_verify(punit_argon *pool, const char *hash, const char *password,
                                  size_t len);

/* Was the hash made with other parameters than today's? */
bool punit_argon_outdated(const char *hash);

#endif
