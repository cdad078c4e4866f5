#include "punitctl/unit/conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "punitctl/output.h"
#include "punitctl/pool.h"

#define FILES_MOST 256
#define DIGEST     32
#define HEAD       "# what punitctl wrote: file, digest on disk, digest of the newest text\n"

typedef struct {
    char hex[2 * DIGEST + 1];
} digest_t;

/* `newest` is noted before the file is written. So after a crash the file holds one of the two. */
typedef struct {
    const char *path;
    digest_t    disk, newest;
} record_t;

typedef struct {
    record_t record[FILES_MOST];
    size_t   count;
} records_t;

static bool      forced, notes_only;
static int       refused;
static records_t noted;


void
conffile_force(bool force)
{
    forced = force;
}


int
conffile_end(const unit_t *unit)
{
    file_sync(unit_path(unit, ".written"));
    return refused > 0 ? EXIT_FAILED : EXIT_OK;
}


bool
conffile_known(const unit_t *unit)
{
    return file_exists(unit_path(unit, ".written"));
}


static digest_t
digest_of(const char *content, size_t size)
{
    digest_t digest = { "" };

    if (!punit_digest_hex(digest.hex, DIGEST, content, size)) {
        output_error("no memory");
        exit(EXIT_FAILED);
    }
    return digest;
}


static bool
same(const digest_t *a, const digest_t *b)
{
    return strcmp(a->hex, b->hex) == 0;
}


/* The digest of a file. False if there is no such file. */
static bool
digest_file(const char *path, digest_t *digest)
{
    size_t      size;
    const char *content = file_exists(path) ? file_read(path, &size) : NULL;

    if (content != NULL) {
        *digest = digest_of(content, size);
    }
    return content != NULL;
}


static record_t *
find(records_t *records, const char *path)
{
    for (size_t i = 0; i < records->count; i++) {
        if (strcmp(records->record[i].path, path) == 0) {
            return &records->record[i];
        }
    }
    return NULL;
}


static bool
note(records_t *records, const char *path, const digest_t *disk, const digest_t *newest)
{
    record_t *record = find(records, path);

    if (record == NULL) {
        if (records->count == FILES_MOST) {
            output_problem("bad-file", "%s: more than %d files of configuration", path, FILES_MOST);
            return false;
        }
        record = &records->record[records->count++];
        record->path = path;
    }
    record->disk = *disk;
    record->newest = *newest;
    return true;
}


static bool
read_digest(digest_t *digest, const char *hex)
{
    if (hex == NULL || strlen(hex) != sizeof(digest->hex) - 1) {
        return false;
    }
    memcpy(digest->hex, hex, sizeof(digest->hex));
    return true;
}


static bool
load(const unit_t *unit, records_t *records)
{
    const char *path = unit_path(unit, ".written");
    char       *rest = conffile_known(unit) ? file_read(path, NULL) : pool_printf("%s", "");
    char       *line;

    records->count = 0;
    if (rest == NULL) {
        return false;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *name = strsep(&line, " ");
        digest_t    disk, newest;

        if (*name == '\0' || *name == '#') {
            continue;
        }
        if (!read_digest(&disk, strsep(&line, " ")) || !read_digest(&newest, line)) {
            output_problem("bad-file", "%s: not a file of punitctl at \"%s\"", path, name);
            return false;
        }
        if (!note(records, name, &disk, &newest)) {
            return false;
        }
    }
    return true;
}


static bool
save(const unit_t *unit, const records_t *records)
{
    const char    *all = HEAD;
    file_content_t file = { .path = unit_path(unit, ".written"), .mode = 0640, .later = true };

    for (size_t i = 0; i < records->count; i++) {
        const record_t *record = &records->record[i];

        all = pool_printf("%s%s %s %s\n", all, record->path, record->disk.hex, record->newest.hex);
    }
    file.content = all;
    file.size = strlen(all);
    return file_write_together(&file, 1) != FILE_FAILED;
}


/* FILE.new is of no use any more, unless it is not what punitctl put there. */
static void
remove_beside(const char *file, const digest_t *offered)
{
    const char *beside = pool_printf("%s.new", file);
    digest_t    digest;

    if (digest_file(beside, &digest) && same(&digest, offered)) {
        file_remove(beside);
    }
}


static file_result_t
put_beside(const char *file, const char *content, size_t size, mode_t mode)
{
    const char *beside = pool_printf("%s.new", file);

    refused++;
    output_problem(
        "refused",
        "%s was changed by hand and stays; merge %s into it and remove that file, or give"
        " --force",
        file, beside);
    return file_write(beside, content, size, mode) == FILE_FAILED ? FILE_FAILED : FILE_KEPT;
}


static bool
keep_old(const char *file)
{
    size_t      size;
    const char *content = file_read(file, &size);
    const char *old = pool_printf("%s.old", file);

    if (content == NULL || file_write(old, content, size, 0600) == FILE_FAILED) {
        return false;
    }
    output_line("%s was changed by hand; it is %s now", file, old);
    return true;
}


typedef struct {
    const char *path, *file, *content;
    size_t      size;
    mode_t      mode;
    digest_t    newest;
} wanted_t;


/* The file is punitctl's own or is to be. */
static file_result_t
write_own(const unit_t *unit, records_t *records, const wanted_t *wanted, const digest_t *disk)
{
    const record_t *before = find(records, wanted->path);

    if (before != NULL) {
        remove_beside(wanted->file, &before->newest);
    }
    if ((before == NULL || !same(&before->disk, disk) || !same(&before->newest, &wanted->newest))
        && (!note(records, wanted->path, disk, &wanted->newest) || !save(unit, records)))
    {
        return FILE_FAILED;
    }
    return file_write(wanted->file, wanted->content, wanted->size, wanted->mode);
}


static file_result_t
leave(const unit_t *unit, records_t *records, const wanted_t *wanted)
{
    const record_t *before = find(records, wanted->path);
    const char     *beside = pool_printf("%s.new", wanted->file);
    const digest_t  none = digest_of("", 0);
    bool            news = before == NULL || !same(&before->newest, &wanted->newest);
    digest_t        waits;

    if (!news && !(digest_file(beside, &waits) && same(&waits, &wanted->newest))) {
        return FILE_KEPT;
    }
    if (news
        && (!note(records, wanted->path, before != NULL ? &before->disk : &none, &wanted->newest)
            || !save(unit, records)))
    {
        return FILE_FAILED;
    }
    return put_beside(wanted->file, wanted->content, wanted->size, wanted->mode);
}


static file_result_t
decide(const unit_t *unit, const wanted_t *wanted)
{
    records_t       records;
    const record_t *before;
    digest_t        disk;

    if (!load(unit, &records)) {
        return FILE_FAILED;
    }
    if (!file_exists(wanted->file)) {
        return write_own(unit, &records, wanted, &wanted->newest);
    }
    if (!digest_file(wanted->file, &disk)) {
        return FILE_FAILED;
    }
    before = find(&records, wanted->path);
    if (same(&disk, &wanted->newest)
        || (before != NULL && (same(&disk, &before->disk) || same(&disk, &before->newest))))
    {
        return write_own(unit, &records, wanted, &disk);
    }
    if (!forced) {
        return leave(unit, &records, wanted);
    }
    return keep_old(wanted->file) ? write_own(unit, &records, wanted, &wanted->newest)
                                  : FILE_FAILED;
}


file_result_t
conffile_write(const unit_t *unit, const char *path, const char *content, size_t size, mode_t mode)
{
    const wanted_t wanted = { path, unit_path(unit, "%s", path), content, size,
                              mode, digest_of(content, size) };
    file_result_t  result;
    digest_t       disk;
    int            lock;

    if (notes_only) {
        if (digest_file(wanted.file, &disk) && same(&disk, &wanted.newest)) {
            note(&noted, path, &disk, &disk);
        }
        return FILE_KEPT;
    }
    lock = open(unit->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        output_problem("file", "cannot lock %s: %s", unit->dir, strerror(errno));
        return FILE_FAILED;
    }
    result = decide(unit, &wanted);
    close(lock);
    return result;
}


void
conffile_note_begin(void)
{
    notes_only = true;
    noted.count = 0;
}


bool
conffile_note_end(const unit_t *unit)
{
    bool ok = save(unit, &noted);

    notes_only = false;
    file_sync(unit_path(unit, ".written"));
    return ok;
}
