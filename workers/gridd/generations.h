/* Generations: punit:gen:<service> on every memcached server. */
#ifndef PUNIT_GRIDD_GENERATIONS_H
#define PUNIT_GRIDD_GENERATIONS_H

#include "gridd/link.h"

/* Reads all generations and writes each to each server of the grid. */
void gridd_generations_write(gridd_state_t *state);

/* NOTIFY punit_generation, payload: the service. */
void gridd_generations_notified(gridd_state_t *state, const char *payload);

#endif
