/* Conversion between units. */
#ifndef CONVERT_H
#define CONVERT_H

#include "unit.h"

/* The unit called name, or NULL. */
const struct unit *find_unit(const char *name);

/* Convert value; returns 0, or -1 when the units measure different quantities. */
int convert(double value, const struct unit *from, const struct unit *to, double *result);

#endif
