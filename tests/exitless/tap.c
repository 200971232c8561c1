/* SPDX-License-Identifier: Apache-2.0 */
/* See tap.h. */
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tests, failures;

void verdict(bool good, const char *name)
{
    tests++;
    failures += !good;
    printf("%s %d - %s\n", good ? "ok" : "not ok", tests, name);
}

void skip(const char *name)
{
    printf("ok %d - %s # SKIP\n", ++tests, name);
}

int conclude(void)
{
    printf("1..%d\n", tests);
    return failures != 0;
}

_Noreturn void die(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}
