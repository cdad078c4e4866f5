/*
 * jwt_issue ALG KEYFILE KID TYP <CLAIMS >TOKEN
 *
 * An issuer for tests that shares no code with the module: libjwt signs the claims,
 * a JSON object.  KEYFILE is a private key in PEM, or the secret of HS256.  With ALG
 * none it is not read.
 */

#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536


/* All of the file, ended by a zero byte. */
static size_t
read_all(FILE *f, char *text)
{
    size_t len = f != NULL ? fread(text, 1, TEXT_MAX - 1, f) : 0;

    text[len] = '\0';
    return len;
}


int
main(int argc, char **argv)
{
    static char key[TEXT_MAX], claims[TEXT_MAX];
    jwt_t      *jwt = NULL;
    char       *token = NULL;

    if (argc != 5) {
        fprintf(stderr, "usage: %s ALG KEYFILE KID TYP <CLAIMS\n", argv[0]);
        return 2;
    }
    jwt_alg_t alg = jwt_str_alg(argv[1]);
    size_t    len = alg != JWT_ALG_NONE ? read_all(fopen(argv[2], "r"), key) : 0;

    read_all(stdin, claims);
    if (jwt_new(&jwt) == 0
        && jwt_set_alg(jwt, alg, len > 0 ? (unsigned char *) key : NULL, (int) len) == 0
        && jwt_add_header(jwt, "kid", argv[3]) == 0 && jwt_add_header(jwt, "typ", argv[4]) == 0
        && jwt_add_grants_json(jwt, claims) == 0)
    {
        token = jwt_encode_str(jwt);
    }
    jwt_free(jwt);
    if (token == NULL) {
        fprintf(stderr, "libjwt signs no %s with %s\n", argv[1], argv[2]);
        return 1;
    }
    puts(token);
    free(token);
    return 0;
}
