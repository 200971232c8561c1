/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs to which bad things happen share, whatever their API: roles by name, and words
 * on stdout, one line each, of which the tests read what is going on. Their APIs' success is 0.
 */
#ifndef WH_TESTS_FAULT_ROLE_H
#define WH_TESTS_FAULT_ROLE_H

#include <stdbool.h>
#include <stddef.h>

struct role {
    const char *name;
    int (*run)(void); /* returns the exit status */
    bool bare;        /* without a device */
};

/* Plays the role that the program's only argument names, after open_device. Returns the program's
 * exit status. */
int role_play(int argc, char **argv, const struct role *roles, size_t n, void (*open_device)(void));

/* Says which call failed and ends the program, if `result` is a failure. */
void must(int result, const char *what);

/* A line as it is. */
void say(const char *text);

/* What a call gave, and when it returned: "WHAT: RESULT at MICROSECONDS". */
void tell(const char *what, int result);

/* Waits until the test has sent a line. */
void wait_for_line(void);

#endif
