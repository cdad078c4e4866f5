#include "punitctl/unit/fastcgi.h"

#include <fastcgi.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "punitctl/pool.h"

#define PATIENCE_S  10
#define PARAMS_MOST 1024


static int
connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval     patience = { .tv_sec = PATIENCE_S };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}


static bool
write_record(int fd, unsigned char type, const char *content, size_t size)
{
    FCGI_Header header = {
        .version = FCGI_VERSION_1,
        .type = type,
        .requestIdB0 = 1,
        .contentLengthB1 = (unsigned char) (size >> 8),
        .contentLengthB0 = (unsigned char) size,
    };

    return send(fd, &header, sizeof(header), MSG_NOSIGNAL) == (ssize_t) sizeof(header)
           && send(fd, content, size, MSG_NOSIGNAL) == (ssize_t) size;
}


/* Adds a parameter with a name and a value of fewer than 128 bytes each. */
static void
add(char *params, size_t *size, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);

    if (n > 127 || v > 127 || *size + 2 + n + v > PARAMS_MOST) {
        return;
    }
    params[(*size)++] = (char) n;
    params[(*size)++] = (char) v;
    memcpy(params + *size, name, n);
    memcpy(params + *size + n, value, v);
    *size += n + v;
}


static bool
ask(int fd, const char *path)
{
    FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER };
    char                  params[PARAMS_MOST];
    size_t                size = 0;

    add(params, &size, "REQUEST_METHOD", "GET");
    add(params, &size, "PUNIT_PATH", path);
    add(params, &size, "PUNIT_ROUTE", "local");
    return write_record(fd, FCGI_BEGIN_REQUEST, (const char *) &begin, sizeof(begin))
           && write_record(fd, FCGI_PARAMS, params, size) && write_record(fd, FCGI_PARAMS, "", 0)
           && write_record(fd, FCGI_STDIN, "", 0);
}


static bool
read_all(int fd, void *into, size_t size)
{
    return size == 0 || recv(fd, into, size, MSG_WAITALL) == (ssize_t) size;
}


/* Standard output up to the end of the request. */
static const char *
answer(int fd)
{
    const char *all = "";
    FCGI_Header header;
    char        content[FCGI_MAX_LENGTH + 256];

    while (read_all(fd, &header, sizeof(header))) {
        size_t size = (size_t) header.contentLengthB1 << 8 | header.contentLengthB0;

        if (header.type == FCGI_END_REQUEST) {
            return all;
        }
        if (!read_all(fd, content, size + header.paddingLength)) {
            return NULL;
        }
        if (header.type == FCGI_STDOUT) {
            all = pool_printf("%s%.*s", all, (int) size, content);
        }
    }
    return NULL;
}


const char *
fastcgi_get(const unit_t *unit, const char *service, const char *path)
{
    int         fd = connect_to(unit_path(unit, "sock/%s.sock", service));
    const char *got = fd >= 0 && ask(fd, path) ? answer(fd) : NULL;

    if (fd >= 0) {
        close(fd);
    }
    return got;
}
