/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts as TAP on stdout, for the programs on the emulated host. */
#ifndef WH_TEST_TAP_H
#define WH_TEST_TAP_H

#include <stdbool.h>

void verdict(bool good, const char *name);

/* What cannot be tested here. */
void skip(const char *name);

/* Prints the plan; the program's exit status. */
int conclude(void);

/* Says what failed and why, by errno, and ends the program. */
_Noreturn void die(const char *what);

#endif
