#include "lib/base/reload.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/socket.h"


static const char *
program(char **argv)
{
    const char *run = getenv("PUNIT_RUN");

    return run != NULL && *run != '\0' ? run : argv[0];
}


static void
complain(const char *path)
{
    char quoted[256], reason[256];

    punit_log_quote(reason, sizeof(reason), strerror(errno));
    punit_log(PUNIT_LOG_ERROR, "reload", "program=%s why=%s",
              punit_log_quote(quoted, sizeof(quoted), path), reason);
}


bool
punit_reload_possible(char **argv)
{
    if (access(program(argv), X_OK) == 0) {
        return true;
    }

    complain(program(argv));
    return false;
}


void
punit_reload(int socket, bool own, char **argv)
{
    int marked = own ? setenv(PUNIT_SOCKET_OWN, "1", 1) : unsetenv(PUNIT_SOCKET_OWN);

    if (marked == 0 && (socket < 0 || dup2(socket, STDIN_FILENO) == STDIN_FILENO)
        && close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
    {
        execv(program(argv), argv);
    }

    complain(program(argv));
}
