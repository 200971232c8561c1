/* SPDX-License-Identifier: Apache-2.0 */
/* Roles by name, and words on stdout; see role.h. Knows neither an API nor Wormhole. */
#include "role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void must(int result, const char *what)
{
    if (result == 0)
        return;
    printf("failed %s: %d\n", what, result);
    exit(1);
}

void say(const char *text)
{
    puts(text);
    (void)fflush(stdout);
}

static unsigned long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
}

void tell(const char *what, int result)
{
    printf("%s: %d at %llu\n", what, result, now_us());
    (void)fflush(stdout);
}

void wait_for_line(void)
{
    char line[64];
    if (!fgets(line, sizeof(line), stdin))
        exit(2);
}

int role_play(int argc, char **argv, const struct role *roles, size_t n, void (*open_device)(void))
{
    if (argc != 2)
        return 2;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(argv[1], roles[i].name) != 0)
            continue;
        if (!roles[i].bare)
            open_device();
        return roles[i].run();
    }
    return 2;
}
