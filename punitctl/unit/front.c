#include "punitctl/unit/front.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/services.h"

#define ANSWER_MS 5000L

typedef struct {
    const char *text;
} body_t;


static size_t
append(char *bytes, size_t size, size_t n, void *context)
{
    body_t *body = context;

    body->text = pool_printf("%s%.*s", body->text, (int) (size * n), bytes);
    return size * n;
}


/* GET. Returns the status, or 0 with the reason in *reason. */
static long
get(CURL *curl, const char *url, const char **text, const char **reason)
{
    body_t   body = { .text = "" };
    long     status = 0;
    CURLcode rc;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    rc = curl_easy_perform(curl);
    if (rc == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    } else {
        *reason = curl_easy_strerror(rc);
    }
    *text = body.text;
    return status;
}


/* Asks this unit's NGINX through sock/admin.sock, or where that is not, on its public side. */
static long
ask(const unit_t *unit, const char *path, const char **text, const char **reason)
{
    const char *sock = unit_path(unit, "sock/admin.sock");
    CURL       *curl = curl_easy_init();
    bool        admin = file_exists(sock);
    long        status = 0;

    *text = "";
    *reason = "out of memory";
    if (curl == NULL) {
        return 0;
    }
    if (admin) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, sock);
    }
    status = get(curl,
                 pool_printf("http://%s%s", admin ? "localhost" : unit_setting(unit, "PUNIT_HTTP"),
                             path),
                 text, reason);
    curl_easy_cleanup(curl);
    return status;
}


/* What the service says is wrong: the detail of its problem document. */
static json_t *
detail_of(const char *text)
{
    json_t       *problem = json_loads(text, 0, NULL);
    const json_t *detail = json_object_get(problem, "detail");
    json_t       *copy = json_is_string(detail) ? json_deep_copy(detail) : json_null();

    json_decref(problem);
    return copy;
}


static json_t *
ask_services(const unit_t *unit, bool *good)
{
    size_t           count;
    const service_t *services = services_list(&count);
    json_t          *all = json_array();

    for (size_t i = 0; services != NULL && i < count; i++) {
        const char *text, *reason = NULL;
        long        status = ask(unit, pool_printf("/%s/health", services[i].name), &text, &reason);

        *good = *good && status == 200;
        json_array_append_new(all, json_pack("{s:s, s:I, s:o}", "service", services[i].name,
                                             "status", (json_int_t) status, "wrong",
                                             status == 200 ? json_null()
                                             : status == 0 ? json_string(reason)
                                                           : detail_of(text)));
    }
    return all;
}


/* The marks of the peers, from NGINX's own status. */
static json_t *
marks_of(const char *text)
{
    json_t       *status = json_loads(text, 0, NULL);
    json_t       *all = json_array();
    const json_t *peer;
    size_t        i;

    json_array_foreach(json_object_get(status, "peers"), i, peer)
    {
        json_array_append_new(all, json_pack("{s:O, s:O}", "peer", json_object_get(peer, "id"),
                                             "mark", json_object_get(peer, "state")));
    }
    json_decref(status);
    return all;
}


json_t *
front_state(const unit_t *unit, bool *good)
{
    const char *text, *reason = NULL;
    long        status = ask(unit, "/punit/status", &text, &reason);
    json_t     *all = json_object();

    *good = *good && status == 200;
    json_object_set_new(all, "nginx",
                        json_string(status == 200 ? "ok"
                                    : status == 0 ? reason
                                                  : pool_printf("answers %ld", status)));
    json_object_set_new(all, "marks", marks_of(text));
    json_object_set_new(all, "services", status != 0 ? ask_services(unit, good) : json_array());
    return all;
}


const char *
front_ask_peer(const unit_t *unit, const char *peer, const char *listener)
{
    CURL       *curl = curl_easy_init();
    const char *text, *reason = "out of memory";
    long        status = 0;

    struct curl_slist *to = curl_slist_append(NULL, pool_printf("%s:443:%s", peer, listener));

    if (curl != NULL && to != NULL) {
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
        curl_easy_setopt(curl, CURLOPT_SSLCERT, unit_setting(unit, "PUNIT_TLS_CERT"));
        curl_easy_setopt(curl, CURLOPT_SSLKEY, unit_setting(unit, "PUNIT_TLS_KEY"));
        curl_easy_setopt(curl, CURLOPT_CAINFO, unit_setting(unit, "PUNIT_TLS_CA"));
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3);
        status = get(curl, pool_printf("https://%s/", peer), &text, &reason);
        /* NGINX says 400 to a certificate that it does not take. */
        if (status == 400) {
            reason = "it does not take this unit's certificate";
            status = 0;
        }
    }
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
    return status != 0 ? NULL : reason;
}
