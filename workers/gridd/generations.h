/* Generations: punit:gen:<service> on every memcached server. */
#ifndef PUNIT_GRIDD_GENERATIONS_H
#define PUNIT_GRIDD_GENERATIONS_H

#include "gridd/listener.h"

/* Reads all generations and writes each to each server of the grid. */
void generations_write(state_t *state);

/* NOTIFY punit_generation, payload: the service. */
void generations_notified(state_t *state, const char *payload);

#endif
