/* Argon: password hashing with argon2id (RFC 9106) of libsodium, 19 MiB and two passes, in threads
 * of its own. The number of threads bounds the memory and the processor time that a storm of logins
 * can take. The threads run at a lower priority than those that answer other requests. */
#ifndef PUNIT_AUTH_PASSWORD_ARGON_H
#define PUNIT_AUTH_PASSWORD_ARGON_H

#include <stdbool.h>
#include <stddef.h>

#define ARGON_OPS    2U
#define ARGON_MEMORY (19U * 1024U * 1024U) /* bytes */
#define ARGON_STR    128U                  /* room for "$argon2id$...", with its NUL */

typedef enum {
    ARGON_OK = 0,
    ARGON_MISMATCH, /* the password is another one */
    ARGON_BUSY,     /* no room in the queue: answer 503 */
    ARGON_FAILED    /* no memory */
} argon_rc_t;

typedef struct argon argon_t;

/* Starts `threads` threads. At most `waiting` jobs queue for them. NULL when there is no memory or
 * no thread, or libsodium does not start. */
argon_t *argon_start(unsigned threads, unsigned waiting);

/* Ends the threads, after the jobs in the queue. */
void argon_stop(argon_t *pool);

/* Hashes a password of `len` bytes into `out`. Waits for its turn. */
argon_rc_t argon_hash(argon_t *pool, const char *password, size_t len, char out[ARGON_STR]);

/* Compares a password with `hash`. For a name that does not exist, `hash` is NULL: the answer is
 * MISMATCH, after the same work. */
argon_rc_t argon_verify(argon_t *pool, const char *hash, const char *password, size_t len);

/* Whether the hash was made with other parameters than those of today. */
bool argon_outdated(const char *hash);

#endif
