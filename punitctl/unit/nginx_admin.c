#include "punitctl/unit/nginx_admin.h"

#include <string.h>

#include "punitctl/pool.h"
#include "punitctl/unit/address.h"

#define LOOPBACK        "localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1\\]"
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]"


bool
nginx_admin_valid(const unit_t *unit)
{
    const char *hosts = unit_setting(unit, "PUNIT_ADMIN_HOSTS");

    if (hosts != NULL && hosts[strspn(hosts, NAME_CHARACTERS " ")] != '\0') {
        output_problem("bad-setting",
                       "PUNIT_ADMIN_HOSTS: expected names of hosts without ports, separated by"
                       " blanks, not \"%s\"",
                       hosts);
        return false;
    }
    return true;
}


const char *
nginx_admin_address(const unit_t *unit)
{
    const char *address = unit_setting(unit, "PUNIT_ADMIN");

    return address != NULL && strcmp(address, "off") != 0 ? address : NULL;
}


/* One more alternative. The characters of a name that mean something else there are escaped. */
static const char *
add_name(const char *all, const char *name)
{
    for (all = pool_printf("%s|", all); *name != '\0'; name++) {
        all = pool_printf("%s%s%c", all, strchr(".[]", *name) != NULL ? "\\" : "", *name);
    }
    return all;
}


const char *
nginx_admin_names(const unit_t *unit)
{
    const char *address = nginx_admin_address(unit);
    const char *hosts = unit_setting(unit, "PUNIT_ADMIN_HOSTS");
    char       *rest = pool_printf("%s", hosts != NULL ? hosts : "");
    const char *all = LOOPBACK;
    char       *word;

    if (address != NULL) {
        all = add_name(all, address_host(address));
    }
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            all = add_name(all, word);
        }
    }
    return all;
}


http_request_answer_t
nginx_admin_request(const unit_t *unit, const char *method, const char *path, const char *body)
{
    CURL                 *curl = curl_easy_init();
    struct curl_slist    *headers = curl_slist_append(NULL, "Content-Type: application/json");
    http_request_answer_t answer;

    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, unit_path(unit, "sock/admin.sock"));
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        if (body != NULL) {
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        }
    }
    answer = http_request_send(curl, pool_printf("http://localhost%s", path));
    curl_slist_free_all(headers);
    return answer;
}
