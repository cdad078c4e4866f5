#include "punitctl/unit/nginx_state.h"

#include "punitctl/pool.h"
#include "punitctl/unit/nginx_admin.h"
#include "punitctl/unit/services.h"

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
        http_request_answer_t answer =
            nginx_admin_request(unit, "GET", pool_printf("/%s/health", services[i].name), NULL);

        *good = *good && answer.status == 200;
        json_array_append_new(all, json_pack("{s:s, s:I, s:o}", "service", services[i].name,
                                             "status", (json_int_t) answer.status, "wrong",
                                             answer.status == 200 ? json_null()
                                             : answer.status == 0 ? json_string(answer.reason)
                                                                  : detail_of(answer.body)));
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
nginx_state(const unit_t *unit, bool *good)
{
    http_request_answer_t answer = nginx_admin_request(unit, "GET", "/punit/status", NULL);
    json_t               *all = json_object();

    *good = *good && answer.status == 200;
    json_object_set_new(all, "nginx",
                        json_string(answer.status == 200 ? "ok"
                                    : answer.status == 0
                                        ? answer.reason
                                        : pool_printf("answers %ld", answer.status)));
    json_object_set_new(all, "marks", marks_of(answer.body));
    json_object_set_new(all, "services",
                        answer.status != 0 ? ask_services(unit, good) : json_array());
    return all;
}


const char *
nginx_state_ask_peer(const unit_t *unit, const char *peer, const char *listener)
{
    CURL                 *curl = curl_easy_init();
    struct curl_slist    *to = curl_slist_append(NULL, pool_printf("%s:443:%s", peer, listener));
    http_request_answer_t answer;

    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
        curl_easy_setopt(curl, CURLOPT_SSLCERT, unit_setting(unit, "PUNIT_TLS_CERT"));
        curl_easy_setopt(curl, CURLOPT_SSLKEY, unit_setting(unit, "PUNIT_TLS_KEY"));
        curl_easy_setopt(curl, CURLOPT_CAINFO, unit_setting(unit, "PUNIT_TLS_CA"));
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3);
    }
    answer = http_request_send(curl, pool_printf("https://%s/", peer));
    curl_slist_free_all(to);
    /* NGINX says 400 to a certificate that it does not take. */
    return answer.status == 400 ? "it does not take this unit's certificate"
           : answer.status == 0 ? answer.reason
                                : NULL;
}
