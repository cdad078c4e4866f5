/*
 * The places of the programs, the module and the shared files. They are relative to this program,
 * whether it is installed (PREFIX/bin) or built (build/bin).
 */
#ifndef PUNITCTL_UNIT_INSTALLATION_H
#define PUNITCTL_UNIT_INSTALLATION_H

#include <stdbool.h>

/* PREFIX/share/punit/<name>, or <name> of the source tree. PUNIT_SHARE overrides
 * PREFIX/share/punit. NULL with the reason printed. */
const char *installation_share(const char *name);

/* From here on, what conf/released/<release>/ holds stands in for the present files. NULL: no more.
 */
void installation_pretend(const char *release);

/* False if that release had no such file. */
bool installation_has(const char *name);

/* The directory of this program, where the others are too. */
const char *installation_programs(void);

/* Path of the NGINX module. NULL with the reason printed. */
const char *installation_module(void);

/* Path of the library that PostgreSQL `version` loads (guard/). NULL: there is none for it. */
const char *installation_guard(long version);

#endif
