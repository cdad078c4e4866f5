#include "punitctl/unit/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"

#define LETTERS      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS       "0123456789"
#define NUMBERS_MOST 8


static bool
port_valid(const char *port)
{
    char *end;

    return port[0] >= '1' && port[0] <= '9' && strtol(port, &end, 10) <= 65535 && *end == '\0';
}


/* Labels with dots between. The last one has a letter, so 10.1.0.999 is no name. */
static bool
name_valid(const char *name)
{
    const char *last = strrchr(name, '.');

    return strlen(name) <= 253 && strspn(name, LETTERS DIGITS "-.") == strlen(name)
           && name[0] != '.' && name[0] != '-' && strstr(name, "..") == NULL
           && strpbrk(last != NULL ? last : name, LETTERS) != NULL;
}


static bool
valid(const char *address)
{
    const char     *colon = strrchr(address, ':');
    struct in6_addr ip;
    const char     *host;

    if (colon == NULL || !port_valid(colon + 1)) {
        return false;
    }
    host = address_host(address);
    if (address[0] == '[') {
        return colon[-1] == ']' && inet_pton(AF_INET6, host, &ip) == 1;
    }
    return inet_pton(AF_INET, host, &ip) == 1 || name_valid(host);
}


static int
look_up(const char *address, struct addrinfo **found)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    return getaddrinfo(address_host(address), address_port(address), &hints, found);
}


const char *
address_problem(const char *address)
{
    struct addrinfo *found;
    int              error;

    if (!valid(address)) {
        return pool_printf("expected a name, an [IPv6 address] or an IPv4 address and port like"
                           " 127.0.0.1:8101, not \"%s\"",
                           address);
    }
    error = look_up(address, &found);
    if (error != 0) {
        return pool_printf("cannot resolve %s: %s", address_host(address), gai_strerror(error));
    }
    freeaddrinfo(found);
    return NULL;
}


const char *
address_host(const char *address)
{
    const char *colon = strrchr(address, ':');

    if (address[0] == '[' && colon > address + 1) {
        return pool_copy(address + 1, (size_t) (colon - address) - 2);
    }
    return pool_copy(address, (size_t) (colon - address));
}


const char *
address_port(const char *address)
{
    return strrchr(address, ':') + 1;
}


static int
compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}


const char *
address_numbers(const char *address)
{
    const char      *number[NUMBERS_MOST], *all = NULL;
    struct addrinfo *found = NULL;
    size_t           count = 0;

    if (look_up(address, &found) != 0) {
        return NULL;
    }
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        char text[NI_MAXHOST];

        if (count < NUMBERS_MOST
            && getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0,
                           NI_NUMERICHOST)
                   == 0)
        {
            number[count++] = pool_printf("%s", text);
        }
    }
    freeaddrinfo(found);
    /* The resolver's order changes from call to call. */
    qsort(number, count, sizeof(*number), compare);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(number[i], number[i - 1]) != 0) {
            all = all == NULL ? number[i] : pool_printf("%s,%s", all, number[i]);
        }
    }
    return all;
}
