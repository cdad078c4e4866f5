/*
 * Where the programs, the module and the shared files are: beside this
 * program, whether installed (PREFIX/bin) or built (build/bin).
 */
#ifndef PUNITCTL_UNIT_INSTALLATION_H
#define PUNITCTL_UNIT_INSTALLATION_H

/* PREFIX/share/punit/<name>, or <name> of the source tree. PUNIT_SHARE, if
 * set, is taken instead. NULL with the reason said. */
const char *installation_share(const char *name);

/* The directory of the programs; that of this one. */
const char *installation_programs(void);

/* Path of the NGINX module. NULL with the reason said. */
const char *installation_module(void);

#endif
