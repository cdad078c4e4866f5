/*
 * What the unit needs of its machine: files, certificates, disks and limits.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "punitctl/doctor/doctor.h"
#include "punitctl/pool.h"
#include "punitctl/unit/certificate_list.h"
#include "punitctl/unit/disk.h"
#include "punitctl/unit/owners.h"
#include "punitctl/unit/process.h"
#include "punitctl/unit/supervise.h"

/* What the configuration of NGINX asks for. */
#define FILES_OF_NGINX 8192

/* PostgreSQL's parallel workers share memory there. */
#define SHM_BYTES (64LL << 20)


/* Only the unit's user may read it. True if so. */
static bool
look_at(doctor_t *doctor, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        doctor_say(doctor, DOCTOR_FAIL, "restore it from a backup", "%s: %m", path);
    } else if (st.st_uid != geteuid()) {
        doctor_say(doctor, DOCTOR_FAIL, "chown it to the user who owns the unit's directory",
                   "%s belongs to another user", path);
    } else if ((st.st_mode & 077) != 0) {
        doctor_say(doctor, DOCTOR_FAIL, pool_printf("chmod go= %s", path),
                   "%s may be read by others (mode %o)", path, st.st_mode & 07777);
    } else {
        return true;
    }
    return false;
}


static void
look_at_secrets(doctor_t *doctor)
{
    const char *private = unit_setting(doctor->unit, "PUNIT_PRIVATE");
    const char          *key = unit_setting(doctor->unit, "PUNIT_TLS_KEY");
    DIR                 *dir = private != NULL ? opendir(private) : NULL;
    const struct dirent *entry;
    bool                 good = look_at(doctor, unit_path(doctor->unit, "pg"));

    good = (private == NULL || look_at(doctor, private)) && good;
    good = (key == NULL || look_at(doctor, key)) && good;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            good = look_at(doctor, pool_printf("%s/%s", private, entry->d_name)) && good;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (good) {
        doctor_say(doctor, DOCTOR_OK, NULL, "secrets are for the unit's user alone");
    }
}


/* Where each program has a user of its own. */
static void
look_at_owners(doctor_t *doctor)
{
    const char *problem = owners_problem(doctor->unit);

    if (!owners_cluster(doctor->unit)) {
        doctor_say(doctor, DOCTOR_WARN, "at a quiet time, systemctl restart punit-postgres",
                   "PostgreSQL does not run as " PROCESS_DATABASE_USER " yet");
    }
    if (problem == NULL) {
        doctor_say(doctor, DOCTOR_OK, NULL, "files belong to the users of their programs");
    } else {
        doctor_say(doctor, DOCTOR_FAIL, pool_printf("punitctl unit init %s", doctor->unit->id),
                   "%s", problem);
    }
}


void
doctor_files(doctor_t *doctor)
{
    if (process_apart(doctor->unit->dir)) {
        look_at_owners(doctor);
    } else {
        look_at_secrets(doctor);
    }
}


void
doctor_certificates(doctor_t *doctor)
{
    json_t       *certificates = certificate_list(doctor->unit);
    const json_t *one;
    size_t        i;

    json_array_foreach(certificates, i, one)
    {
        const char *name = output_value(one, "name");
        const char *problem = output_value(one, "problem");
        json_int_t  days = json_integer_value(json_object_get(one, "days"));

        if (problem != NULL) {
            doctor_say(doctor, DOCTOR_FAIL, "replace it, then punitctl certificates --reload",
                       "%s: %s", name, problem);
        } else {
            doctor_say(doctor,
                       days < 0                  ? DOCTOR_FAIL
                       : days < CERTIFICATE_DAYS ? DOCTOR_WARN
                                                 : DOCTOR_OK,
                       days < CERTIFICATE_DAYS ? "replace it, then punitctl certificates --reload"
                                               : NULL,
                       "%s: %lld days left", name, (long long) days);
        }
    }
    json_decref(certificates);
}


void
doctor_disk(doctor_t *doctor)
{
    bool          good = true;
    json_t       *disks = disk_state(doctor->unit, &good);
    const json_t *one;
    size_t        i;

    json_array_foreach(disks, i, one)
    {
        const char *state = output_value(one, "state");

        doctor_say(doctor,
                   strcmp(state, "full") == 0  ? DOCTOR_FAIL
                   : strcmp(state, "low") == 0 ? DOCTOR_WARN
                                               : DOCTOR_OK,
                   strcmp(state, "ok") == 0 ? NULL : "make room, or move it to a larger disk",
                   "%s: %s %% free", output_value(one, "path"), output_value(one, "free_percent"));
    }
    json_decref(disks);
}


/* "Max open files  SOFT  HARD  files" of a process; 0: unknown. */
static long
open_files_of(pid_t pid)
{
    FILE *file = fopen(pool_printf("/proc/%d/limits", (int) pid), "re");
    char  line[256];
    long  soft = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Max open files", 14) == 0) {
            soft = strncmp(line + 14 + strspn(line + 14, " "), "unlimited", 9) == 0
                       ? FILES_OF_NGINX
                       : strtol(line + 14, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return soft;
}


static void
look_at_shm(doctor_t *doctor)
{
    struct statvfs fs;
    long long      bytes;

    if (statvfs("/dev/shm", &fs) < 0) {
        doctor_say(doctor, DOCTOR_FAIL, "mount a tmpfs there", "/dev/shm: %m");
        return;
    }
    bytes = (long long) fs.f_blocks * (long long) fs.f_frsize;
    doctor_say(doctor, bytes < SHM_BYTES ? DOCTOR_WARN : DOCTOR_OK,
               bytes < SHM_BYTES ? "mount it with size=64m or more" : NULL, "/dev/shm has %lld MiB",
               bytes >> 20);
}


void
doctor_limits(doctor_t *doctor)
{
    pid_t nginx = supervise_pid(doctor->unit, "nginx");
    long  files = nginx > 0 ? open_files_of(nginx) : 0;

    if (files > 0) {
        doctor_say(doctor, files < FILES_OF_NGINX ? DOCTOR_WARN : DOCTOR_OK,
                   files < FILES_OF_NGINX ? "raise its limit (LimitNOFILE of punit-nginx.service)"
                                          : NULL,
                   "NGINX may open %ld files", files);
    }
    look_at_shm(doctor);
}
