/*
 * What verbs there are, for those who look one up or describe all of them.
 *
 * A verb is one word, or a group and a word: `keys rotate` is of the group `keys`. A group may be a
 * verb too.
 */
#ifndef PUNITCTL_CATALOGUE_H
#define PUNITCTL_CATALOGUE_H

#include "punitctl/arguments.h"

/* The table, which ends with a row without words. */
void catalogue_set(const verb_t *verbs);

/* The first row of the table. */
const verb_t *catalogue_verbs(void);

/* The verb that the first words name, with their number in *words. NULL: there is none. */
const verb_t *catalogue_find(int argc, char *const *argv, int *words);

/* The word after the group's name if the verb is of the group, else NULL. */
const char *catalogue_member(const verb_t *verb, const char *group);

/* "list, rotate, sync": the group's verbs. NULL: there is no such group. */
const char *catalogue_group(const char *name);

/* Says in one line that the words name no verb, and what they may mean. Returns EXIT_USAGE. */
int catalogue_misuse(int argc, char *const *argv);

#endif
