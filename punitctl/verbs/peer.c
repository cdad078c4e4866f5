/*
 * punitctl peer: marks another unit down or up for this unit's NGINX, or shows its mark.
 */
#include <jansson.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/nginx_admin.h"
#include "punitctl/verb.h"


/* The answer as JSON. NULL with the reason printed. */
static json_t *
ask(const unit_t *unit, const char *method, const char *path, const char *body, long *status)
{
    http_request_answer_t answer = nginx_admin_request(unit, method, path, body);
    json_t               *json = answer.status != 0 ? json_loads(answer.body, 0, NULL) : NULL;

    *status = answer.status;
    if (answer.status == 0) {
        output_problem("nginx", "NGINX does not answer at %s/sock/admin.sock; start it", unit->dir);
    } else if (json == NULL) {
        output_problem("nginx", "NGINX answered %ld, and not with JSON", *status);
    }
    return json;
}


/* The peer as NGINX has it. NULL with the reason printed. */
static json_t *
look_up(const unit_t *unit, const char *id)
{
    long    status;
    json_t *all = ask(unit, "GET", "/punit/status", NULL, &status);
    json_t *found = NULL, *peer;
    size_t  i;

    if (all == NULL) {
        return NULL;
    }
    json_array_foreach(json_object_get(all, "peers"), i, peer)
    {
        const char *name = output_value(peer, "id");

        if (name != NULL && strcmp(name, id) == 0) {
            found = json_incref(peer);
        }
    }
    json_decref(all);
    if (found == NULL) {
        output_problem("no-peer", "NGINX knows no peer %s; make it known by `punitctl unit add`",
                       id);
    }
    return found;
}


static json_t *
mark(const unit_t *unit, const char *id, const char *state)
{
    long    status;
    json_t *peer = ask(unit, "PUT", pool_printf("/punit/status/peers/%s", id),
                       pool_printf("{\"state\":\"%s\"}", state), &status);

    if (peer != NULL && status != 200) {
        const char *title = output_value(peer, "title");

        output_problem("nginx", "NGINX did not mark %s %s: %ld %s", id, state, status,
                       title != NULL ? title : "");
        json_decref(peer);
        return NULL;
    }
    return peer;
}


/* NGINX says seconds since 1970, and 0 for no time. */
static void
print(json_t *peer)
{
    json_int_t  seconds = json_integer_value(json_object_get(peer, "since"));
    json_t     *since = output_time((double) seconds);
    const char *text = json_string_value(since);

    output_line("%s is %s%s%s", output_value(peer, "id"), output_value(peer, "state"),
                text != NULL ? " since " : "", text != NULL ? text : "");
    json_object_set_new(peer, "since", since);
    output_json(peer);
}


int
verb_peer(const arguments_t *arguments)
{
    const char *id = arguments->operand[0];
    bool        down = arguments_value(arguments, "down") != NULL;
    bool        up = arguments_value(arguments, "up") != NULL;
    unit_t      unit;
    json_t     *peer;

    if (down && up) {
        output_error("--down and --up exclude each other");
        return EXIT_USAGE;
    }
    if (!unit_id_check(id)) {
        return EXIT_USAGE;
    }
    if (!unit_open(&unit, arguments)) {
        return EXIT_FAILED;
    }
    peer = look_up(&unit, id);
    if (peer != NULL && (down || up)) {
        json_decref(peer);
        peer = mark(&unit, id, down ? "down" : "up");
    }
    if (peer == NULL) {
        return EXIT_FAILED;
    }
    print(peer);
    return EXIT_OK;
}
