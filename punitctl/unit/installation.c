#include "punitctl/unit/installation.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"

#define MODULE "ngx_http_punit_module.so"
#define GUARD  "punit_guard.so"

static const char *pretended;


/* The first of the places, relative to the programs' directory, that exists. NULL: none does. */
static const char *
find(const char *const *places, const char *name)
{
    const char *programs = installation_programs();

    for (; *places != NULL; places++) {
        const char *path = file_real(pool_printf("%s/%s%s", programs, *places, name));

        if (path != NULL) {
            return path;
        }
    }
    return NULL;
}


static const char *
first(const char *const *places, const char *name)
{
    const char *programs = installation_programs();
    const char *path = find(places, name);

    if (path != NULL) {
        return path;
    }
    output_problem("not-installed",
                   "cannot find %s: neither an installation nor a built source tree"
                   " around %s (PUNIT_SHARE names the place of sql/, conf/ and workers/)",
                   name, programs);
    return NULL;
}


const char *
installation_programs(void)
{
    char    path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char   *slash;

    if (n < 0) {
        return ".";
    }
    path[n] = '\0';
    slash = strrchr(path, '/');
    *slash = '\0';
    return pool_printf("%s", path);
}


const char *
installation_share(const char *name)
{
    /* installed; build/bin; build/san/bin */
    static const char *const places[] = {
        "../share/punit/",
        "../../",
        "../../../",
        NULL,
    };
    const char *given = getenv("PUNIT_SHARE");

    if (pretended != NULL) {
        name = pool_printf("conf/released/%s/%s", pretended,
                           strncmp(name, "conf/", 5) == 0 ? name + 5 : name);
    }
    return given != NULL ? pool_printf("%s/%s", given, name) : first(places, name);
}


bool
installation_has(const char *name)
{
    const char *path;

    if (pretended == NULL) {
        return true;
    }
    /* conf/services is there in each release. */
    path = installation_share("conf/services");
    path = path != NULL ? pool_printf("%.*s", (int) (strrchr(path, '/') - path), path) : "";
    return file_exists(
        pool_printf("%s/%s", path, strncmp(name, "conf/", 5) == 0 ? name + 5 : name));
}


void
installation_pretend(const char *release)
{
    pretended = release;
}


const char *
installation_module(void)
{
    static const char *const places[] = { "../lib/nginx/modules/", "../", "../../", NULL };
    const char              *given = getenv("PUNIT_MODULE");

    return given != NULL ? given : first(places, MODULE);
}


const char *
installation_guard(long version)
{
    static const char *const places[] = { "../lib/punit/", "../guard/", "../../guard/", NULL };

    return find(places, pool_printf("%ld/" GUARD, version));
}
