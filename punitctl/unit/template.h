/*
 * Files of a unit made from conf/templates/: plain text with placeholders @NAME@.
 */
#ifndef PUNITCTL_UNIT_TEMPLATE_H
#define PUNITCTL_UNIT_TEMPLATE_H

#include "punitctl/unit/file.h"
#include "punitctl/unit/unit.h"

typedef struct {
    const char *name;  /* without the @; NULL ends a list */
    const char *value; /* NULL: unset, as if it were not listed */
} template_value_t;

/* The text of conf/templates/<name>. A placeholder is looked up in `values` (may be NULL), then in
 * the unit's settings. An unknown or unset one is an error. The last line end of a value is
 * dropped, so that a rendered template can stand on a line of another one. A line that holds
 * nothing but an empty value is left out. NULL with the reason printed. */
const char *template_render(const unit_t *unit, const char *name, const template_value_t *values);

/* Renders into the file DIR/<path>, as conffile_write does. */
file_result_t template_write(const unit_t *unit, const char *name, const template_value_t *values,
                             const char *path, mode_t mode);

#endif
