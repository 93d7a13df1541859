/* A unit of measurement. */
#ifndef UNIT_H
#define UNIT_H

struct unit {
    const char *name;
    const char *quantity; /* what it measures: units convert only within one quantity */
    double factor;        /* how many SI base units one of it is */
};

#endif
