/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors this process may keep busy; see cores.h. */
#include "base/cores.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MOST_PATH 1024

int wh_cores_of_quota(const char *line)
{
    long long quota, period;
    if (sscanf(line, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0 ||
        quota / period >= INT_MAX)
        return INT_MAX;
    return quota < period ? 1 : (int)(quota / period);
}

/* The first line of a file that begins with `prefix`, without that; false: there is none. */
static bool read_line(const char *path, const char *prefix, char *line, int size)
{
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, size, file))
        found = strncmp(line, prefix, strlen(prefix)) == 0;
    if (file)
        fclose(file);
    if (!found)
        return false;
    memmove(line, line + strlen(prefix), strlen(line) - strlen(prefix) + 1);
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* The least that the process's group or one above it allows. */
static int cores_of_groups(void)
{
    char group[MOST_PATH], path[MOST_PATH + 64], line[64];
    int least = INT_MAX;
    if (!read_line("/proc/self/cgroup", "0::", group, sizeof(group)))
        return INT_MAX;
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
        int cores = read_line(path, "", line, sizeof(line)) ? wh_cores_of_quota(line) : INT_MAX;
        if (cores < least)
            least = cores;
    }
    return least;
}

int wh_cores(void)
{
    static _Atomic int given; /* 0: not looked up; a session asks several times as it begins */
    cpu_set_t set;
    int here = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
    if (given == 0)
        given = cores_of_groups();
    return given < here ? given : here;
}
