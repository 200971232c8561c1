/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbarrier: a barrier that is 64 bits of shared memory. Its phase ends when all arrivals that it
 * expects have come, and all bytes that were announced. The word is the engine's own: bits 0-19
 * arrivals of a phase, 20-39 those still to come, 40-61 bytes still to come, 63 the phase. Called
 * as a handler; blocks of a cluster are run by one thread, which makes it atomic.
 */
#include "exec.h"
#include "flow.h"

#define COUNT_MASK 0xfffffull
#define BYTES_MASK 0x3fffffull
#define COMING_AT  20
#define BYTES_AT   40
#define PHASE      (1ull << 63)

static uint64_t coming(uint64_t word)
{
    return word >> COMING_AT & COUNT_MASK;
}

/* With `n` arrivals fewer to come, `drop` fewer in each phase from now on, and `bytes` more. */
static uint64_t arrive(uint64_t word, uint64_t n, uint64_t drop, uint64_t bytes)
{
    uint64_t expected = (word - drop) & COUNT_MASK, left = (coming(word) - n) & COUNT_MASK;
    uint64_t announced = ((word >> BYTES_AT & BYTES_MASK) + bytes) & BYTES_MASK,
             phase = word & PHASE;
    if (left == 0 && announced == 0) {
        phase ^= PHASE;
        left = expected;
    }
    return phase | announced << BYTES_AT | left << COMING_AT | expected;
}

static void pending(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false, coming(wh_get(warp, ins->a, lane, true)));
}

static bool passed(const struct wh_warp *warp, const struct wh_ins *ins, unsigned lane,
                   uint64_t word)
{
    if (ins->sub == MBARRIER_PARITY)
        return (word >> 63) != (wh_get(warp, ins->b, lane, false) & 1);
    return ((word ^ wh_get(warp, ins->b, lane, true)) & PHASE) != 0;
}

void wh_do_mbarrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t pointers[WH_LANES], n;
    uint32_t done = 0;
    if (ins->sub == MBARRIER_PENDING) {
        pending(warp, ins, mask);
        return;
    }
    if (!wh_translate(warp, ins, mask, 8, true, pointers))
        return;
    WH_EACH_LANE(lane, mask)
    {
        uint64_t *word = (uint64_t *)(uintptr_t)pointers[lane]; /* NOLINT */
        switch (ins->sub) {
        case MBARRIER_INIT:
            n = wh_get(warp, ins->b, lane, false) & COUNT_MASK;
            *word = n << COMING_AT | n;
            break;
        case MBARRIER_INVAL:
            *word = 0;
            break;
        case MBARRIER_EXPECT:
            *word += (wh_get(warp, ins->b, lane, false) & BYTES_MASK) << BYTES_AT;
            break;
        case MBARRIER_COMPLETE:
            *word = arrive(*word, 0, 0, 0 - wh_get(warp, ins->b, lane, false));
            break;
        case MBARRIER_ARRIVE:
        case MBARRIER_DROP:
            n = wh_get(warp, ins->b, lane, false);
            wh_put(warp, ins->d, lane, true, *word);
            *word = arrive(*word, n, ins->sub == MBARRIER_DROP ? n : 0,
                           wh_get(warp, ins->c, lane, false));
            break;
        default:
            done |= (uint32_t)passed(warp, ins, lane, *word) << lane;
            break;
        }
    }
    if (ins->sub == MBARRIER_TEST || ins->sub == MBARRIER_PARITY) {
        warp->spins += 4; /* who asks will ask again */
        wh_set_predicate(warp, ins->d, mask, done);
    }
}
