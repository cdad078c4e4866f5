#include "punitctl/unit/services.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"
#include "punitctl/unit/installation.h"

#define SERVICES_MOST 64
#define LOWER         "abcdefghijklmnopqrstuvwxyz"
#define WORD          LOWER "0123456789_"

static service_t services[SERVICES_MOST];
static size_t    services_count;
static char      services_path[PATH_MAX];


/* The paths of a line, "/sports /activities", as "sports|activities". NULL: none, or a bad one. */
static const char *
read_paths(char *rest)
{
    const char *all = NULL;
    char       *word;

    while ((word = strsep(&rest, " \t")) != NULL) {
        if (*word == '\0') {
            continue;
        }
        if (*word != '/' || word[1] == '\0' || word[1 + strspn(word + 1, WORD "-")] != '\0') {
            return NULL;
        }
        all = all == NULL ? word + 1 : pool_printf("%s|%s", all, word + 1);
    }
    return all;
}


static bool
read_line(char *line, const char *path, int number)
{
    service_t service;
    char     *rest = line;

    if (services_count == SERVICES_MOST) {
        output_problem("bad-file", "%s: more than %d services", path, SERVICES_MOST);
        return false;
    }
    service.name = strsep(&rest, " \t");
    service.paths = read_paths(rest);
    if (strspn(service.name, LOWER) == 0 || service.name[strspn(service.name, WORD)] != '\0'
        || service.paths == NULL)
    {
        output_problem("bad-file",
                       "%s line %d: expected a name and paths like \"sports /sports /activities\"",
                       path, number);
        return false;
    }
    for (size_t i = 0; i < services_count; i++) {
        if (strcmp(services[i].name, service.name) == 0) {
            output_problem("bad-file", "%s line %d: service %s is there twice", path, number,
                           service.name);
            return false;
        }
    }
    services[services_count++] = service;
    return true;
}


const service_t *
services_list(size_t *count)
{
    const char *path = installation_share("conf/services");
    char       *rest, *line;
    int         number = 0;

    if (path == NULL) {
        return NULL;
    }
    if (services_count == 0 || strcmp(path, services_path) != 0) {
        services_count = 0;
        snprintf(services_path, sizeof(services_path), "%s", path);
        rest = file_read(path, NULL);
        if (rest == NULL) {
            return NULL;
        }
        while ((line = strsep(&rest, "\n")) != NULL) {
            number++;
            line[strcspn(line, "#\r")] = '\0';
            line += strspn(line, " \t");
            if (*line != '\0' && !read_line(line, path, number)) {
                services_count = 0;
                return NULL;
            }
        }
    }
    *count = services_count;
    return services;
}
