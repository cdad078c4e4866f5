#include "punitctl/unit/http_request.h"

#include "punitctl/pool.h"

#define CONNECT_MS 2000L
#define ANSWER_MS  5000L


static size_t
append(char *bytes, size_t size, size_t n, void *context)
{
    http_request_answer_t *answer = context;

    answer->body = pool_printf("%s%.*s", answer->body, (int) (size * n), bytes);
    return size * n;
}


http_request_answer_t
http_request_send(CURL *curl, const char *url)
{
    http_request_answer_t answer = { .body = "", .reason = "out of memory" };
    CURLcode              rc;

    if (curl == NULL) {
        return answer;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    rc = curl_easy_perform(curl);
    if (rc == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    } else {
        answer.reason = curl_easy_strerror(rc);
    }
    curl_easy_cleanup(curl);
    return answer;
}
