#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "selftest.h"
#include "units.h"

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s VALUE UNIT UNIT | --list | --self-test\n", program);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return selftest() != 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct unit *const *unit = all_units; *unit != NULL; unit++)
            printf("%s\t%s\n", (*unit)->quantity, (*unit)->name);
        return 0;
    }
    if (argc != 4)
        return usage(argv[0]);

    char *end;
    double result, value = strtod(argv[1], &end);
    const struct unit *from = find_unit(argv[2]), *to = find_unit(argv[3]);
    if (*argv[1] == '\0' || *end != '\0' || from == NULL || to == NULL)
        return usage(argv[0]);
    if (convert(value, from, to, &result) != 0) {
        fprintf(stderr, "%s: %s is a %s, %s a %s\n", argv[0], from->name, from->quantity, to->name, to->quantity);
        return 1;
    }
    printf("%.12g\n", result);
    return 0;
}
