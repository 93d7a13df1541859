#include "selftest.h"

#include <stddef.h>
#include <stdio.h>

#include "convert.h"
#include "units.h"

static int check(const char *what, int ok)
{
    printf("%s %s\n", ok ? "ok  " : "FAIL", what);
    return ok ? 0 : 1;
}

static int near(double a, double b)
{
    double difference = a < b ? b - a : a - b;
    double size = b < 0 ? -b : b;
    return difference <= 1e-12 * (size > 1 ? size : 1);
}

static int converts(const char *what, double value, const char *from, const char *to, double expected)
{
    const struct unit *one = find_unit(from), *other = find_unit(to);
    double result = 0;
    return check(what, one && other && convert(value, one, other, &result) == 0 && near(result, expected));
}

int selftest(void)
{
    int failed = 0, one_way = 0;
    double result;

    failed += converts("a mile is 1760 yards", 1, "mile", "yard", 1760);
    failed += converts("a foot is 12 inches", 1, "foot", "inch", 12);
    failed += converts("a pound is 16 ounces", 1, "pound", "ounce", 16);
    failed += converts("a day is 1440 minutes", 1, "day", "minute", 1440);
    failed += check("no unit has an unknown name", find_unit("furlong per fortnight") == NULL);
    failed += check("hours are not metres", convert(1, find_unit("hour"), find_unit("metre"), &result) == -1);
    for (const struct unit *const *unit = all_units; *unit != NULL; unit++) {
        double there = 0, back = 0;
        const struct unit *first = *unit;
        for (const struct unit *const *other = all_units; *other != NULL; other++)
            if (convert(7, first, *other, &there) == 0 &&
                (convert(there, *other, first, &back) != 0 || !near(back, 7)))
                one_way++;
    }
    return failed + check("every conversion can be undone", one_way == 0);
}
