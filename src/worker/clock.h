/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock for calls in a view, where nobody can ask the system for the time: CLOCK_MONOTONIC, told
 * by the guest's time stamp counter. That runs as fast as the host's, less an offset which the VMM
 * chose and does not tell. The worker's threads measure the host's counter (clock.c); the offset
 * lies between bounds that follow from messages which go both ways, as in NTP: what was written
 * before is not read later (clock_view.c). Only for who leads. A guest can make its counter say
 * what it likes; then its own events have wrong times, never earlier than one before, and nothing
 * else comes of it. docs/exitless-internals.md says how exact the clock is.
 */
#ifndef WH_WORKER_CLOCK_H
#define WH_WORKER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* In milliseconds: */
#define WH_CLOCK_SHORTEST 20u   /* what the rate is measured over, and what the bounds must hold */
#define WH_CLOCK_AGAIN    1000u /* then it is measured anew */
#define WH_CLOCK_LONGEST  8192u /* without a word from the worker there is no time any more */

/* The rate is known to one part in two to the power of this. */
#define WH_CLOCK_RATE_BITS 13u

/* The host's counter at a time. */
struct wh_clock_pair {
    uint64_t tsc, ns;
    uint64_t spread; /* ticks within which the time was taken */
};

struct wh_clock {
    /* The worker's. */
    bool runs; /* its process may read the counter */
    struct wh_clock_pair pair;
    uint64_t rate;         /* nanoseconds in 2^32 ticks; 0: not known yet */
    uint64_t ticks_per_ms; /* with it */
    /* Of the last exchange: the guest's counter when a message was left (0: none was), what the
     * offset is at least since it was taken, and the host's counter when all was done. */
    uint64_t left, least;
    bool taken;
    uint64_t sent; /* 0: whoever enters next has learnt of it */
    /* The callee's: the guest's counter less the host's. */
    bool known;
    uint64_t lower, upper, offset;
    uint64_t since, contact; /* host's counter: since when the bounds hold, and when last seen */
};

/* ---- in the worker ---- */

/* The view is made. */
void wh_clock_open(struct wh_clock *clock);

/* Before a message is carried out. */
void wh_clock_take(struct wh_clock *clock);

/* After it. */
void wh_clock_settle(struct wh_clock *clock);

/* ---- in the callee; `guest` is what the guest's counter says now ---- */

/* Whether wh_clock_enter has something to learn. */
static inline bool wh_clock_has_news(const struct wh_clock *clock)
{
    return clock->taken && clock->sent;
}

void wh_clock_enter(struct wh_clock *clock, uint64_t guest);

/* A message is left to the worker. */
static inline void wh_clock_leave(struct wh_clock *clock, uint64_t guest)
{
    clock->left = guest;
}

/* Nanoseconds of CLOCK_MONOTONIC, roughly; 0: that cannot be told. */
uint64_t wh_clock_time(const struct wh_clock *clock, uint64_t guest);

#endif
