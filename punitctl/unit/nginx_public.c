#include "punitctl/unit/nginx_public.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/template.h"


static const char *
given(const unit_t *unit, const char *name)
{
    const char *value = unit_setting(unit, name);

    return value != NULL && *value != '\0' && strcmp(value, "off") != 0 ? value : NULL;
}


const char *
nginx_public_https(const unit_t *unit)
{
    return given(unit, "PUNIT_HTTPS");
}


static bool
redirects(const unit_t *unit)
{
    const char *redirect = unit_setting(unit, "PUNIT_HTTPS_REDIRECT");

    return nginx_public_https(unit) != NULL && (redirect == NULL || strcmp(redirect, "on") == 0);
}


/* An IP address, or a network like 10.0.0.0/8. */
static bool
network_valid(const char *word)
{
    const char     *slash = strchr(word, '/');
    const char     *host = slash != NULL ? pool_copy(word, (size_t) (slash - word)) : word;
    long            most = strchr(word, ':') != NULL ? 128 : 32, bits = most;
    char           *end = "";
    struct in6_addr ip;

    if (slash != NULL) {
        bits = slash[1] >= '0' && slash[1] <= '9' ? strtol(slash + 1, &end, 10) : -1;
    }
    return bits >= 0 && bits <= most && *end == '\0'
           && inet_pton(most == 128 ? AF_INET6 : AF_INET, host, &ip) == 1;
}


/* The lines for PUNIT_REAL_IP_FROM; "": none. NULL: `*wrong` is no network. */
static const char *
networks(const unit_t *unit, const char **wrong)
{
    const char *list = given(unit, "PUNIT_REAL_IP_FROM");
    char       *rest = pool_printf("%s", list != NULL ? list : "");
    const char *all = "";
    char       *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0') {
            continue;
        }
        if (strcmp(word, "unix:") != 0 && !network_valid(word)) {
            *wrong = word;
            return NULL;
        }
        all = pool_printf("%sset_real_ip_from   %s;\n", all, word);
    }
    return all;
}


const char *
nginx_public_problem(const unit_t *unit)
{
    const char *redirect = unit_setting(unit, "PUNIT_HTTPS_REDIRECT"), *wrong;

    if (redirect != NULL && strcmp(redirect, "on") != 0 && strcmp(redirect, "off") != 0) {
        return pool_printf("PUNIT_HTTPS_REDIRECT: expected on or off, not \"%s\"", redirect);
    }
    if (networks(unit, &wrong) == NULL) {
        return pool_printf("PUNIT_REAL_IP_FROM: expected networks like 10.0.0.0/8 or"
                           " 2001:db8::/32, not \"%s\"",
                           wrong);
    }
    return NULL;
}


const char *
nginx_public_map(const unit_t *unit)
{
    const char *port;

    if (!redirects(unit)) {
        return "";
    }
    port = address_port(nginx_public_https(unit));
    return template_render(unit, "nginx/http-redirect.conf",
                           (const template_value_t[]){
                               { "PORT", strcmp(port, "443") == 0 ? "" : pool_printf(":%s", port) },
                               { NULL, NULL },
                           });
}


static const char *
https_lines(const unit_t *unit, bool http2)
{
    const char *https = nginx_public_https(unit);

    if (https == NULL) {
        return "";
    }
    return template_render(
        unit, "nginx/public-https.conf",
        (const template_value_t[]){
            { "LISTEN", http2 ? pool_printf("listen                     %s ssl;\n"
                                            "http2                      on;",
                                            https)
                              : pool_printf("listen                     %s ssl http2;", https) },
            { NULL, NULL },
        });
}


static const char *
proxy_lines(const unit_t *unit)
{
    const char *wrong, *from = networks(unit, &wrong);

    if (from == NULL || *from == '\0') {
        return from;
    }
    return template_render(unit, "nginx/public-proxies.conf",
                           (const template_value_t[]){ { "FROM", from }, { NULL, NULL } });
}


file_result_t
nginx_public_write(const unit_t *unit, bool http2)
{
    const char *redirect =
        redirects(unit) ? template_render(unit, "nginx/public-redirect.conf", NULL) : "";

    return template_write(unit, "nginx/public.conf",
                          (const template_value_t[]){
                              { "HTTPS", https_lines(unit, http2) },
                              { "REDIRECT", redirect },
                              { "PROXIES", proxy_lines(unit) },
                              { NULL, NULL },
                          },
                          "nginx/unit/public.conf", 0644);
}
