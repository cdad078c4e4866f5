#include "punitctl/unit/disk.h"

#include <string.h>
#include <sys/statvfs.h>

#define LOW_PERCENT 10.0
#define FULL_BYTES  (1LL << 30)


json_t *
disk_state(const unit_t *unit, bool *good)
{
    const char *const paths[] = { unit->dir, unit_path(unit, "pg") };
    json_t           *all = json_array();

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct statvfs fs;
        long long      left;
        double         percent;
        const char    *state;

        if (statvfs(paths[i], &fs) < 0) {
            continue;
        }
        left = (long long) fs.f_bavail * (long long) fs.f_frsize;
        percent = fs.f_blocks > 0 ? 100.0 * (double) fs.f_bavail / (double) fs.f_blocks : 100;
        state = left < FULL_BYTES ? "full" : percent < LOW_PERCENT ? "low" : "ok";
        *good = *good && strcmp(state, "full") != 0;
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:f}", "path", paths[i], "state",
                                             state, "free_bytes", (json_int_t) left, "free_percent",
                                             (double) (long) (10 * percent) / 10));
    }
    return all;
}
