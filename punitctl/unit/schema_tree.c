#include "punitctl/unit/schema_tree.h"

#include <ctype.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "punitctl/output.h"
#include "punitctl/pool.h"
#include "punitctl/unit/file.h"


static const char *
sha256(const char *content, size_t size)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char         *hex = pool_alloc(2 * 32 + 1);
    unsigned      n;

    EVP_Digest(content, size, digest, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return hex;
}


static bool
read_files(schema_files_t *files, const char *directory, const char *pattern)
{
    glob_t paths;
    bool   ok = true;

    if (glob(pool_printf("%s/%s", directory, pattern), 0, NULL, &paths) != 0) {
        output_problem("bad-file", "no files %s in %s", pattern, directory);
        return false;
    }
    files->count = paths.gl_pathc;
    files->file = pool_alloc(files->count * sizeof(*files->file));
    for (size_t i = 0; i < files->count && ok; i++) {
        schema_file_t *file = &files->file[i];
        size_t         size;

        file->script = file_read(paths.gl_pathv[i], &size);
        ok = file->script != NULL;
        if (ok) {
            file->name = pool_printf("%s", paths.gl_pathv[i] + strlen(directory) + 1);
            file->sha256 = sha256(file->script, size);
        }
    }
    globfree(&paths);
    return ok;
}


/* tables/NNN-topic.sql, each with a number of its own: the order must not be a matter of names. */
static bool
numbered(const schema_files_t *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *name = files->file[i].name + strlen("tables/");

        if (!isdigit((unsigned char) name[0]) || !isdigit((unsigned char) name[1])
            || !isdigit((unsigned char) name[2]) || name[3] != '-')
        {
            output_problem("bad-file", "%s: a file of tables/ is called NNN-topic.sql",
                           files->file[i].name);
            return false;
        }
        if (i > 0 && strncmp(files->file[i - 1].name, files->file[i].name, 10) == 0) {
            output_problem("bad-file", "%s and %s have the same number", files->file[i - 1].name,
                           files->file[i].name);
            return false;
        }
    }
    return true;
}


static bool
read_version(schema_tree_t *tree, const char *directory)
{
    const char *path = pool_printf("%s/VERSION", directory);
    char       *rest = file_read(path, NULL);
    char       *line;

    tree->version = tree->serves = 0;
    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        sscanf(line, "version %d", &tree->version);
        sscanf(line, "serves %d", &tree->serves);
    }
    if (tree->serves < 1 || tree->version < tree->serves) {
        output_problem("bad-file", "%s: expected lines \"version N\" and \"serves M\", 1 <= M <= N",
                       path);
        return false;
    }
    return true;
}


bool
schema_tree_read(schema_tree_t *tree, const char *directory)
{
    return read_version(tree, directory) && read_files(&tree->tables, directory, "tables/*.sql")
           && numbered(&tree->tables)
           && read_files(&tree->functions, directory, "functions/*/*.sql");
}
