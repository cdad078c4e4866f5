#include "mover/move/message.h"

#include <stdio.h>
#include <string.h>

#include "mover/failpoint.h"


bool
message_send(errand_t *e, const char *sql, long long epoch, char answer[MESSAGE_ANSWER_SIZE])
{
    char        number[24];
    const char *values[] = { e->task.user, number, e->task.here, e->task.there };

    if (e->peer == NULL && !errand_reach(e)) {
        return false;
    }

    FAILPOINT("message.send", e->peer);
    snprintf(number, sizeof(number), "%lld", epoch);

    PGresult *row = link_call(e->peer, sql, 4, values);

    if (row == NULL) {
        errand_peer_failed(e);
        return false;
    }

    snprintf(answer, MESSAGE_ANSWER_SIZE, "%s", PQgetvalue(row, 0, 0));
    PQclear(row);

    if (strncmp(answer, "VOID", 4) == 0) {
        errand_blocked(e, "message-void", answer);
        return false;
    }

    return true;
}
