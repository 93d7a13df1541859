/* The program's test of itself. */
#ifndef SELFTEST_H
#define SELFTEST_H

/* Print one line for each check; returns how many failed. */
int selftest(void);

#endif
