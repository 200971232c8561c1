/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callee's side of a view's clock: what an exchange with the worker's threads tells of the
 * guest's counter, and the time that follows. See clock.h. Whatever a guest's counter says, nothing
 * here overflows, divides or waits.
 */
#include "worker/clock.h"

/* Counters wrap: what is more than half a turn ahead is behind. */
static bool is_after(uint64_t x, uint64_t y)
{
    return (int64_t)(x - y) > 0;
}

static uint64_t middle(const struct wh_clock *clock)
{
    return clock->lower + (clock->upper - clock->lower) / 2;
}

static bool contradicts(const struct wh_clock *clock, uint64_t lower, uint64_t upper)
{
    return is_after(lower, upper) ||
           (clock->known && (is_after(lower, clock->upper) || is_after(clock->lower, upper)));
}

static void learn(struct wh_clock *clock, uint64_t lower, uint64_t upper)
{
    if (!clock->known) {
        clock->known = true;
        clock->lower = lower;
        clock->upper = upper;
        clock->offset = middle(clock);
        clock->since = clock->sent;
    }
    if (is_after(lower, clock->lower))
        clock->lower = lower;
    if (is_after(clock->upper, upper))
        clock->upper = upper;
    /* It stays what it is as long as it can: what is between two events is then exact. */
    if (is_after(clock->lower, clock->offset) || is_after(clock->offset, clock->upper))
        clock->offset = middle(clock);
    clock->contact = clock->sent;
}

/* What took long tells little of where the counter is now, but may still tell that it was set. */
void wh_clock_enter(struct wh_clock *clock, uint64_t guest)
{
    uint64_t lower = clock->least, upper = guest - clock->sent;
    if (contradicts(clock, lower, upper))
        clock->known = false;
    if (clock->rate && !is_after(lower, upper) && upper - lower < clock->ticks_per_ms)
        learn(clock, lower, upper);
    clock->taken = false;
    clock->sent = 0;
}

/* A guest's counter that is scaled runs at another rate, as slowly as the bounds have let it: so
 * they are good for as long again as they have held. */
uint64_t wh_clock_time(const struct wh_clock *clock, uint64_t guest)
{
    uint64_t ms = clock->ticks_per_ms, span = clock->contact - clock->since,
             most = span < WH_CLOCK_LONGEST * ms ? span : WH_CLOCK_LONGEST * ms;
    if (!clock->known || !clock->rate || span < WH_CLOCK_SHORTEST * ms)
        return 0;
    uint64_t host = guest - clock->offset;
    if (host - clock->contact + ms > most + ms) /* the offset may be off by less than one */
        return 0;
    uint64_t distance = host - clock->pair.tsc, longest = 2 * WH_CLOCK_LONGEST * ms;
    if (distance + longest > 2 * longest) /* it was measured too long ago */
        return 0;
    __int128 ns = (__int128)(int64_t)distance * (__int128)clock->rate;
    return clock->pair.ns + (uint64_t)(int64_t)(ns >> 32);
}
