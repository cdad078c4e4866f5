#include "punitctl/unit/owners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/address.h"
#include "punitctl/unit/process.h"

/* What is at a path. ALL: the directory and the files in it, which have no right to be executed. */
typedef enum { FILE_THERE, DIRECTORY, DIRECTORY_MADE, FILE_MADE, ALL, SOCKET } kind_t;

typedef struct {
    kind_t      kind;
    const char *path; /* below the unit's directory, or PUNIT_...: a setting */
    const char *user; /* NULL: stays */
    const char *group;
    mode_t      mode;
} owner_t;

/* doc/SECURITY.md says why. A directory comes before what is in it. Old programs, which run as
 * `punit` until their restart, can do their work with these modes too. */
static const owner_t owners[] = {
    { FILE_THERE, "unit.env", "punit", "punit", 0640 },
    { DIRECTORY, "tls", "punit", "punit", 0750 },
    /* libpq and PostgreSQL take a key with a group from root only */
    { FILE_THERE, "PUNIT_TLS_KEY", "root", "punit", 0640 },
    { FILE_THERE, "PUNIT_HTTPS_KEY", "punit", "punit-web", 0640 },
    { ALL, "private", "punit-auth", "punit-auth", 0700 },
    { DIRECTORY, "sock", "punit", "punit-sock", 01771 },
    { SOCKET, "sock/grid.sock", NULL, PROCESS_PROGRAMS, 0660 },
    { SOCKET, "sock/tokens.sock", NULL, PROCESS_PROGRAMS, 0660 },
    { SOCKET, "sock/.s.PGSQL.", NULL, PROCESS_PROGRAMS, 0770 },
    { DIRECTORY, "nginx", "punit", "punit-web", 01770 },
    { FILE_THERE, "nginx/nginx.pid", "punit-web", "punit-web", 0640 },
    { FILE_THERE, "nginx/state", "punit-web", "punit-web", 0640 },
    { DIRECTORY_MADE, "nginx/tmp", "punit-web", "punit", 0770 },
    { DIRECTORY_MADE, "nginx/tmp/body", "punit-web", "punit", 0770 },
    { DIRECTORY_MADE, "nginx/tmp/proxy", "punit-web", "punit", 0770 },
    { DIRECTORY_MADE, "nginx/tmp/fastcgi", "punit-web", "punit", 0770 },
    { DIRECTORY_MADE, "nginx/tmp/uwsgi", "punit-web", "punit", 0770 },
    { DIRECTORY_MADE, "nginx/tmp/scgi", "punit-web", "punit", 0770 },
    { DIRECTORY, "log", "punit", "punit-web", 0771 },
    { FILE_THERE, "log/nginx.log", "punit-web", "punit-web", 0640 },
    { FILE_THERE, "log/access.log", "punit-web", "punit-web", 0640 },
    { FILE_MADE, "log/postgres.log", PROCESS_DATABASE_USER, "punit", 0640 },
    { DIRECTORY_MADE, "ask", "punit", "punit-mover", 0770 },
};

#define OWNERS (sizeof(owners) / sizeof(*owners))


/* The path of a row. NULL: the unit has none, or it is not in the unit's directory. */
static const char *
path_of(const unit_t *unit, const owner_t *owner)
{
    const char *path = owner->path;
    size_t      n = strlen(unit->dir);

    if (strncmp(path, "PUNIT_", 6) == 0) {
        path = unit_setting(unit, path);
        return path != NULL && strncmp(path, unit->dir, n) == 0 && path[n] == '/' ? path : NULL;
    }
    if (owner->kind == SOCKET && path[strlen(path) - 1] == '.') {
        path = pool_printf("%s%s", path, address_port(unit_setting(unit, "PUNIT_PG_LISTEN")));
    }
    return unit_path(unit, "%s", path);
}


/* False with the reason printed: the package's users are not there. */
static bool
ids_of(const owner_t *owner, uid_t *uid, gid_t *gid)
{
    const struct passwd *user = owner->user != NULL ? getpwnam(owner->user) : NULL;
    const struct group  *group = getgrnam(owner->group);

    if ((owner->user != NULL && user == NULL) || group == NULL) {
        output_problem("no-rights",
                       "the user %s or the group %s is missing; systemd-sysusers makes them",
                       owner->user != NULL ? owner->user : "punit", owner->group);
        return false;
    }
    *uid = user != NULL ? user->pw_uid : (uid_t) -1;
    *gid = group->gr_gid;
    return true;
}


static bool
is_kind(const owner_t *owner, mode_t mode)
{
    switch (owner->kind) {
    case FILE_THERE:
    case FILE_MADE:
        return S_ISREG(mode);
    case SOCKET:
        return S_ISSOCK(mode);
    default:
        return S_ISDIR(mode);
    }
}


/* Changes the one file that is open at `fd` (O_PATH). A link is never followed. */
static file_result_t
give_open(int fd, const owner_t *owner, const char *path)
{
    const char *self = pool_printf("/proc/self/fd/%d", fd);
    struct stat st;
    uid_t       uid;
    gid_t       gid;

    if (!ids_of(owner, &uid, &gid)) {
        return FILE_FAILED;
    }
    if (fstat(fd, &st) < 0 || !is_kind(owner, st.st_mode)
        || (S_ISREG(st.st_mode) && st.st_nlink != 1)) {
        output_problem("file", "%s is not what belongs there", path);
        return FILE_FAILED;
    }
    if ((uid == (uid_t) -1 || st.st_uid == uid) && st.st_gid == gid
        && (st.st_mode & 07777) == owner->mode)
    {
        return FILE_KEPT;
    }
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 || chmod(self, owner->mode) < 0) {
        output_problem("no-rights", "cannot give %s to %s:%s: %m", path,
                       owner->user != NULL ? owner->user : "its user", owner->group);
        return FILE_FAILED;
    }
    return FILE_WRITTEN;
}


static file_result_t
give_at(int directory, const char *name, const owner_t *owner, const char *path)
{
    int           fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    file_result_t result;

    if (fd < 0) {
        return errno == ENOENT ? FILE_KEPT : FILE_FAILED;
    }
    result = give_open(fd, owner, path);
    close(fd);
    return result;
}


/* The files in a directory. */
static file_result_t
give_all(const owner_t *owner, const char *path)
{
    const owner_t        file = { FILE_THERE, "", owner->user, owner->group, owner->mode & 0666 };
    int                  fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR                 *dir = fd >= 0 ? fdopendir(fd) : NULL;
    file_result_t        all = FILE_KEPT;
    const struct dirent *entry;

    if (dir == NULL) {
        return FILE_KEPT;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            file_result_t one =
                give_at(fd, entry->d_name, &file, pool_printf("%s/%s", path, entry->d_name));

            all = file_result_of((const file_result_t[]){ all, one }, 2);
        }
    }
    closedir(dir);
    return all;
}


static file_result_t
give(const unit_t *unit, const owner_t *owner)
{
    const char   *path = path_of(unit, owner);
    file_result_t result;

    if (path == NULL) {
        return FILE_KEPT;
    }
    result = give_at(AT_FDCWD, path, owner, path);
    if (result != FILE_FAILED && owner->kind == ALL) {
        result = file_result_of((const file_result_t[]){ result, give_all(owner, path) }, 2);
    }
    return result;
}


/* What is made is made as the unit's user, so that no link leads root astray. */
static bool
make(const unit_t *unit, const owner_t *owner)
{
    const char *path = path_of(unit, owner);
    int         fd;

    if (owner->kind == DIRECTORY_MADE) {
        return file_make_directory(path, owner->mode) != FILE_FAILED;
    }
    if (owner->kind != FILE_MADE) {
        return true;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, owner->mode);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || errno == EEXIST;
}


/* An empty directory for initdb. A cluster that is there may run as `punit` still. */
static file_result_t
make_cluster(const unit_t *unit)
{
    static const owner_t cluster = { DIRECTORY, "pg", PROCESS_DATABASE_USER, PROCESS_DATABASE_USER,
                                     0700 };
    const char          *path = unit_path(unit, "pg");

    if (file_exists(unit_path(unit, "pg/PG_VERSION"))) {
        return FILE_KEPT;
    }
    return mkdir(path, cluster.mode) == 0 || errno == EEXIST ? give(unit, &cluster) : FILE_FAILED;
}


typedef struct {
    const unit_t *unit;
    file_result_t result;
} given_t;


static bool
give_each(void *context)
{
    given_t *given = context;

    given->result = make_cluster(given->unit);
    for (size_t i = 0; i < OWNERS && given->result != FILE_FAILED; i++) {
        given->result =
            file_result_of((const file_result_t[]){ given->result, give(given->unit, &owners[i]) },
                           2);
    }
    return given->result != FILE_FAILED;
}


file_result_t
owners_give(const unit_t *unit)
{
    given_t given = { unit, FILE_KEPT };

    if (!process_apart(unit->dir)) {
        return FILE_KEPT;
    }
    for (size_t i = 0; i < OWNERS; i++) {
        if (!make(unit, &owners[i])) {
            output_problem("file", "cannot make %s: %m", path_of(unit, &owners[i]));
            return FILE_FAILED;
        }
    }
    process_root(give_each, &given);
    return given.result;
}


const char *
owners_problem(const unit_t *unit)
{
    for (size_t i = 0; i < OWNERS; i++) {
        const owner_t *owner = &owners[i];
        const char    *path = path_of(unit, owner);
        struct stat    st;
        uid_t          uid;
        gid_t          gid;

        if (path == NULL || lstat(path, &st) < 0) {
            continue;
        }
        if (!ids_of(owner, &uid, &gid)) {
            return "a user of the package is missing";
        }
        if ((uid != (uid_t) -1 && st.st_uid != uid) || st.st_gid != gid
            || (st.st_mode & 07777) != owner->mode)
        {
            return pool_printf("%s is not %s:%s with the mode %o", path,
                               owner->user != NULL ? owner->user : "of its user", owner->group,
                               owner->mode);
        }
    }
    return NULL;
}


bool
owners_cluster(const unit_t *unit)
{
    const struct passwd *user = getpwnam(PROCESS_DATABASE_USER);
    struct stat          st;

    return user != NULL && stat(unit_path(unit, "pg"), &st) == 0 && st.st_uid == user->pw_uid;
}
