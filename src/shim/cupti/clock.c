/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's clock: a function of its own, which may count anything, or the system's time. Times
 * come by CLOCK_MONOTONIC and are converted by what both showed when profiling began and show now.
 */
#include "shim/cupti/cupti.h"

#include <time.h>

#define AHEAD 10000000u /* ns behind the last comparison that its rate is good for */

struct moment {
    uint64_t monotonic, clock;
};

static struct {
    pthread_mutex_t lock;
    wh_cupti_clock function;
    struct moment first, last;
    bool started;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t ask(wh_cupti_clock function)
{
    return function ? function() : read_clock(CLOCK_REALTIME);
}

/* The closest of a few looks at both. */
static struct moment compare(wh_cupti_clock function)
{
    struct moment best = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        uint64_t before = read_clock(CLOCK_MONOTONIC), shown = ask(function);
        uint64_t took = read_clock(CLOCK_MONOTONIC) - before;
        if (took < least) {
            least = took;
            best = (struct moment){before + took / 2, shown};
        }
    }
    return best;
}

void wh_cupti_clock_set(wh_cupti_clock clock)
{
    pthread_mutex_lock(&state.lock);
    state.function = clock;
    state.first = state.last = compare(clock);
    state.started = true;
    pthread_mutex_unlock(&state.lock);
}

void wh_cupti_clock_start(void)
{
    pthread_mutex_lock(&state.lock);
    if (!state.started)
        state.first = state.last = compare(state.function);
    state.started = true;
    pthread_mutex_unlock(&state.lock);
}

uint64_t wh_cupti_clock_now(void)
{
    pthread_mutex_lock(&state.lock);
    wh_cupti_clock function = state.function;
    pthread_mutex_unlock(&state.lock);
    return ask(function);
}

/* The last comparison holds for a while, the shorter the less is known of the rate. The lock is
 * held. */
static void renew(uint64_t monotonic)
{
    uint64_t known = (state.last.monotonic - state.first.monotonic) / 4;
    if (monotonic > state.last.monotonic + (known < AHEAD ? known : AHEAD))
        state.last = compare(state.function);
}

uint64_t wh_cupti_clock_of(uint64_t monotonic)
{
    double rate = 1;
    pthread_mutex_lock(&state.lock);
    renew(monotonic);
    uint64_t apart = state.last.monotonic - state.first.monotonic;
    if (state.function && apart)
        rate = (double)(int64_t)(state.last.clock - state.first.clock) / (double)apart;
    double since = (double)(int64_t)(monotonic - state.last.monotonic);
    uint64_t clock = state.last.clock + (uint64_t)(int64_t)(since * rate);
    pthread_mutex_unlock(&state.lock);
    return clock;
}
