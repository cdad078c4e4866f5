#include "punitctl/unit/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/pool.h"


bool
address_valid(const char *address)
{
    const char    *colon = strrchr(address, ':');
    struct in_addr ip;
    char          *end;
    long           port;

    if (colon == NULL || colon[1] < '1' || colon[1] > '9') {
        return false;
    }
    port = strtol(colon + 1, &end, 10);
    return *end == '\0' && port <= 65535 && inet_pton(AF_INET, address_host(address), &ip) == 1;
}


const char *
address_host(const char *address)
{
    return pool_printf("%.*s", (int) (strrchr(address, ':') - address), address);
}


const char *
address_port(const char *address)
{
    return strrchr(address, ':') + 1;
}
