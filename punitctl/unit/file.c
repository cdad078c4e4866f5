#include "punitctl/unit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/process.h"

#define FILE_MOST (64u << 20)


file_result_t
file_result_of(const file_result_t *results, size_t count)
{
    file_result_t all = FILE_KEPT;

    for (size_t i = 0; i < count; i++) {
        if (results[i] == FILE_FAILED) {
            return FILE_FAILED;
        }
        all = results[i] == FILE_WRITTEN ? FILE_WRITTEN : all;
    }
    return all;
}


bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}


char *
file_read(const char *path, size_t *size)
{
    struct stat st;
    char       *content;
    size_t      got = 0;
    int         fd;

    process_enter_for(path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    process_leave();
    if (fd < 0 || fstat(fd, &st) < 0) {
        output_problem("file", "cannot read %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MOST) {
        output_problem("file", "cannot read %s: not a file of at most 64 MiB", path);
        close(fd);
        return NULL;
    }
    content = pool_alloc((size_t) st.st_size + 1);
    while (got < (size_t) st.st_size) {
        ssize_t n = read(fd, content + got, (size_t) st.st_size - got);

        if (n <= 0) {
            break;
        }
        got += (size_t) n;
    }
    close(fd);
    if (size != NULL) {
        *size = got;
    }
    return content;
}


bool
file_remove(const char *path)
{
    bool ok;

    process_enter_for(path);
    ok = unlink(path) == 0;
    process_leave();
    return ok;
}


bool
file_rename(const char *from, const char *to)
{
    bool ok;

    process_enter_for(to);
    ok = rename(from, to) == 0;
    process_leave();
    return ok;
}


static bool
holds(const char *path, const char *content, size_t size)
{
    size_t      n;
    const char *now = file_exists(path) ? file_read(path, &n) : NULL;


    return now != NULL && n == size && memcmp(now, content, size) == 0;
}


static const char *
beside(const char *path)
{
    return pool_printf("%s.tmp", path);
}


/* Puts the new file beside the old one. */
static bool
put_here(const file_content_t *file)
{
    const char *fresh = beside(file->path);
    size_t      done = 0;
    bool        ok;
    int         fd;

    unlink(fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file->mode);
    if (fd < 0) {
        output_problem("file", "cannot write %s: %s", fresh, strerror(errno));
        return false;
    }
    while (done < file->size) {
        ssize_t n = write(fd, file->content + done, file->size - done);

        if (n < 0) {
            break;
        }
        done += (size_t) n;
    }
    ok = done == file->size && fchmod(fd, file->mode) == 0 && (file->later || fsync(fd) == 0);
    if (!ok) {
        output_problem("file", "cannot write %s: %s", file->path, strerror(errno));
        unlink(fresh);
    }
    close(fd);
    return ok;
}


/* It belongs to the owner of the directory. */
static bool
put(const file_content_t *file)
{
    bool ok;

    process_enter_for(file->path);
    ok = put_here(file);
    process_leave();
    return ok;
}


file_result_t
file_write_together(const file_content_t *files, size_t count)
{
    const file_content_t *fresh[FILE_TOGETHER];
    size_t                n = 0;

    for (size_t i = 0; i < count && n < FILE_TOGETHER; i++) {
        if (holds(files[i].path, files[i].content, files[i].size)) {
            continue;
        }
        if (!put(&files[i])) {
            while (n > 0) {
                file_remove(beside(fresh[--n]->path));
            }
            return FILE_FAILED;
        }
        fresh[n++] = &files[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (!file_rename(beside(fresh[i]->path), fresh[i]->path)) {
            output_problem("file", "cannot write %s: %s", fresh[i]->path, strerror(errno));
            return FILE_FAILED;
        }
    }
    return n > 0 ? FILE_WRITTEN : FILE_KEPT;
}


file_result_t
file_write(const char *path, const char *content, size_t size, mode_t mode)
{
    return file_write_together(&(file_content_t){ path, content, size, mode, false }, 1);
}


void
file_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}


file_result_t
file_create(const char *path, const char *content, mode_t mode)
{
    char         *fresh = pool_printf("%s.XXXXXX", path);
    size_t        size = strlen(content);
    int           fd = mkostemp(fresh, O_CLOEXEC);
    file_result_t result = FILE_FAILED;

    if (fd < 0) {
        output_problem("file", "cannot write %s: %s", path, strerror(errno));
        return FILE_FAILED;
    }
    if (write(fd, content, size) == (ssize_t) size && fchmod(fd, mode) == 0 && fsync(fd) == 0) {
        if (link(fresh, path) == 0) {
            result = FILE_WRITTEN;
        } else if (errno == EEXIST) {
            result = FILE_KEPT;
        }
    }
    if (result == FILE_FAILED) {
        output_problem("file", "cannot write %s: %s", path, strerror(errno));
    }
    close(fd);
    unlink(fresh);
    return result;
}


file_result_t
file_make_directory(const char *path, mode_t mode)
{
    struct stat st;
    char       *parent = pool_printf("%s", path);
    char       *slash = strrchr(parent, '/');

    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return FILE_KEPT;
        }
        output_problem("file", "%s is in the way: not a directory", path);
        return FILE_FAILED;
    }
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        if (file_make_directory(parent, 0755) == FILE_FAILED) {
            return FILE_FAILED;
        }
    }
    /* The init of another unit may make the same directory at the same time. */
    if ((mkdir(path, mode) < 0 && errno != EEXIST) || chmod(path, mode) < 0) {
        output_problem("file", "cannot make the directory %s: %s", path, strerror(errno));
        return FILE_FAILED;
    }
    return FILE_WRITTEN;
}


char *
file_real(const char *path)
{
    char real[PATH_MAX];

    return realpath(path, real) != NULL ? pool_printf("%s", real) : NULL;
}


char *
file_link_target(const char *path)
{
    char        target[PATH_MAX];
    ssize_t     n = readlink(path, target, sizeof(target) - 1);
    const char *name = strrchr(path, '/');

    if (n <= 0) {
        return NULL;
    }
    target[n] = '\0';
    return target[0] == '/' || name == NULL
               ? pool_printf("%s", target)
               : pool_printf("%.*s/%s", (int) (name - path), path, target);
}


char *
file_absolute(const char *path)
{
    char        here[PATH_MAX];
    char       *real = file_real(path);
    const char *target;

    if (real != NULL) {
        return real;
    }
    target = file_link_target(path);
    if (target != NULL) {
        path = target;
    }
    if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL) {
        return pool_printf("%s", path);
    }
    return pool_printf("%s/%s", here, path);
}
