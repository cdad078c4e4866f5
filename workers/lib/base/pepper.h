/* Pepper: the key that all units share and that login names are hashed with. The directory holds
 * only these hashes, so a stolen directory reveals no address, and guesses cannot be tested. */
#ifndef PUNIT_LIB_BASE_PEPPER_H
#define PUNIT_LIB_BASE_PEPPER_H

#define PUNIT_PEPPER_BYTES 32
#define PUNIT_PEPPER_HASH  32

typedef struct {
    unsigned char key[PUNIT_PEPPER_BYTES];
} punit_pepper_t;

/* Reads 64 hex digits from a file, which may hold white space too. 0, or -1 and errno: EINVAL when
 * the file holds anything else. */
int punit_pepper_load(punit_pepper_t *pepper, const char *file);

/* HMAC-SHA256 of a normalised e-mail address. */
void punit_pepper_hash(const punit_pepper_t *pepper, const char *email,
                       unsigned char hash[PUNIT_PEPPER_HASH]);

#endif
