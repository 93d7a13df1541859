#include "convert.h"

#include <stddef.h>
#include <string.h>

#include "units.h" /* generated from units.tsv */

const struct unit *find_unit(const char *name)
{
    for (const struct unit *const *unit = all_units; *unit != NULL; unit++)
        if (strcmp((*unit)->name, name) == 0)
            return *unit;
    return NULL;
}

int convert(double value, const struct unit *from, const struct unit *to, double *result)
{
    if (strcmp(from->quantity, to->quantity) != 0)
        return -1;
    *result = value * from->factor / to->factor;
    return 0;
}
