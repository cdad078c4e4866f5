/*
 * The verbs of the command line. Each is a row of the table in verbs.c and a file in verbs/.
 */
#ifndef PUNITCTL_VERB_H
#define PUNITCTL_VERB_H

#include "punitctl/arguments.h"

/* What help and manual page say of a verb that may be the database's superuser. */
#define VERB_SUPERUSER "works as the superuser of the unit's database, so root runs it"

int verb_unit_init(const arguments_t *arguments);
int verb_unit_invite(const arguments_t *arguments);
int verb_unit_add(const arguments_t *arguments);
int verb_unit_remove(const arguments_t *arguments);
int verb_peer(const arguments_t *arguments);
int verb_ca_init(const arguments_t *arguments);
int verb_ca_unit(const arguments_t *arguments);
int verb_schema(const arguments_t *arguments);
int verb_mesh_join(const arguments_t *arguments);
int verb_mesh_status(const arguments_t *arguments);
int verb_mesh_wait(const arguments_t *arguments);
int verb_mesh_resync(const arguments_t *arguments);
int verb_import(const arguments_t *arguments);
int verb_seed(const arguments_t *arguments);
int verb_status(const arguments_t *arguments);
int verb_user(const arguments_t *arguments);
int verb_move(const arguments_t *arguments);
int verb_moves(const arguments_t *arguments);
int verb_cancel(const arguments_t *arguments);
int verb_verify(const arguments_t *arguments);
int verb_drain(const arguments_t *arguments);
int verb_keys_list(const arguments_t *arguments);
int verb_keys_rotate(const arguments_t *arguments);
int verb_keys_sync(const arguments_t *arguments);
int verb_help(const arguments_t *arguments);
int verb_keys_retire(const arguments_t *arguments);
int verb_certificates(const arguments_t *arguments);
int verb_doctor(const arguments_t *arguments);
int verb_user_grant(const arguments_t *arguments);
int verb_user_revoke(const arguments_t *arguments);
int verb_completion(const arguments_t *arguments);
int verb_man(const arguments_t *arguments);

#endif
