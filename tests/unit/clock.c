/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. */
#include "clock.h"

#include <time.h>

bool clock_stands;
uint64_t clock_ahead_ns, clock_step_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = __real_clock_gettime(clock, time);
    if (clock_stands)
        *time = (struct timespec){0};
    clock_ahead_ns += clock_step_ns;
    uint64_t all = (uint64_t)time->tv_nsec + clock_ahead_ns;
    time->tv_sec += (time_t)(all / 1000000000);
    time->tv_nsec = (long)(all % 1000000000);
    return result;
}
