/*
 * The unit a verb works on: its directory and the settings of its unit.env.
 */
#ifndef PUNITCTL_UNIT_UNIT_H
#define PUNITCTL_UNIT_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "punitctl/arguments.h"

typedef struct {
    const char *name;
    const char *value;
} setting_t;

typedef struct {
    const char *id;
    const char *dir;      /* absolute */
    setting_t  *settings; /* of unit.env */
    size_t      count;
} unit_t;

/* [a-z0-9-]{1,32} */
bool unit_id_valid(const char *id);

/* The same for an operand. False with the reason printed. */
bool unit_id_check(const char *id);

/* Where a unit is if nothing says otherwise. The package makes it, a link. */
#define UNIT_DIRECTORY "/etc/punit"

/* The directory by --dir, else by PUNIT_DIR, else UNIT_DIRECTORY. *by says which, for a reader. */
const char *unit_directory(const arguments_t *arguments, const char **by);

/* Opens the unit in unit_directory(). Its settings come from unit.env there, whatever the
 * environment says. As root this process becomes the unit's user,
 * so read files that only root may read before. Each line printed from here on names the unit.
 * False with the reason printed. */
bool unit_open(unit_t *unit, const arguments_t *arguments);

/* A setting, or NULL. */
const char *unit_setting(const unit_t *unit, const char *name);

/* DIR/<format...> */
char *unit_path(const unit_t *unit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The settings of a file of KEY=value lines. A value may be in double quotes, which systemd.exec(5)
 * and sh read alike. NULL with the reason printed. */
setting_t *unit_read_settings(const char *path, size_t *count);

/* Reads one such line, and cuts it. False: it sets nothing. */
bool unit_read_setting(char *line, setting_t *setting);

/* The row of the options table that every verb on a unit has. */
#define UNIT_OPTION                                                                          \
    {                                                                                        \
        "dir", "DIR", "the unit's directory (else PUNIT_DIR, else " UNIT_DIRECTORY ")", NULL \
    }

#endif
