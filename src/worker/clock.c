/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of a view's clock: how fast the host's counter runs, and when it took a message
 * and was done with it. See clock.h. Never waits. */
#include "worker/clock.h"

#include "base/tsc.h"
#include "base/util.h"

#define TRIES 3

/* As close to each other as a few tries bring them: a thread may be interrupted in between. */
static struct wh_clock_pair measure(void)
{
    struct wh_clock_pair best = {.spread = UINT64_MAX};
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = wh_tsc_read(), ns = wh_now_ns(), spread = wh_tsc_read() - before;
        if (spread < best.spread)
            best = (struct wh_clock_pair){before + spread / 2, ns, spread};
    }
    return best;
}

static void start_over(struct wh_clock *clock, const struct wh_clock_pair *now)
{
    clock->pair = *now;
    clock->rate = 0;
    clock->known = false;
}

/* Nanoseconds in 2^32 ticks; 0: this counter is none to go by. */
static uint64_t rate_of(uint64_t ns, uint64_t ticks)
{
    unsigned __int128 rate = ticks ? ((unsigned __int128)ns << 32) / ticks : 0;
    /* Between a megahertz and a terahertz. */
    return rate >> 22 && rate >> 32 < 1000 ? (uint64_t)rate : 0;
}

/* A counter that a host's sleep, a stop or another machine has changed the course of. */
static bool has_changed(const struct wh_clock *clock, uint64_t rate)
{
    uint64_t apart = rate > clock->rate ? rate - clock->rate : clock->rate - rate;
    return clock->rate && apart > clock->rate >> 10;
}

static void measure_rate(struct wh_clock *clock)
{
    struct wh_clock_pair now = measure();
    uint64_t ticks = now.tsc - clock->pair.tsc, ns = now.ns - clock->pair.ns;
    if ((int64_t)ticks <= 0 || (int64_t)ns <= 0) {
        start_over(clock, &now);
        return;
    }
    if (ns < WH_CLOCK_SHORTEST * 1000000ull ||
        now.spread + clock->pair.spread > ticks >> WH_CLOCK_RATE_BITS)
        return; /* later, which will be better */
    uint64_t rate = rate_of(ns, ticks);
    if (!rate || has_changed(clock, rate)) {
        start_over(clock, &now);
        return;
    }
    clock->pair = now;
    clock->rate = rate;
    clock->ticks_per_ms = (uint64_t)(((unsigned __int128)1000000 << 32) / rate);
}

void wh_clock_open(struct wh_clock *clock)
{
    *clock = (struct wh_clock){.runs = wh_tsc_is_allowed()};
    if (clock->runs)
        clock->pair = measure();
}

void wh_clock_take(struct wh_clock *clock)
{
    if (!clock->left)
        return;
    if (clock->runs) {
        clock->least = clock->left - wh_tsc_read();
        clock->taken = true;
        clock->sent = 0;
    }
    clock->left = 0;
}

void wh_clock_settle(struct wh_clock *clock)
{
    if (!clock->runs)
        return;
    uint64_t age = wh_tsc_read() - clock->pair.tsc;
    if (!clock->rate || age > WH_CLOCK_AGAIN * clock->ticks_per_ms)
        measure_rate(clock);
    clock->sent = wh_tsc_read();
}
