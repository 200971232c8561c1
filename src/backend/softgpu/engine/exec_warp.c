/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes of a warp among themselves: shuffles, votes, matches, reductions. Called as handlers. Lanes
 * that are named wait for each other first: what has not come together yet is put aside until the
 * others stand at the same instruction.
 */
#include "exec.h"
#include "flow.h"

bool wh_together(struct wh_warp *warp, uint32_t want)
{
    want &= warp->live;
    if ((want & ~warp->active) == 0 || warp->deadlocked)
        return true;
    struct wh_group *group = &warp->groups[warp->current];
    group->want = want;
    warp->pc--;
    wh_warp_wait(warp, GROUP_CONVERGE);
    return false;
}

/* The lanes that the instruction names in `e`. */
static bool converged(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    return wh_together(warp, (uint32_t)wh_get(warp, ins->e, (unsigned)__builtin_ctz(mask), false));
}

void wh_do_warp_sync(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    converged(warp, ins, mask);
}

static int shuffle_source(const struct wh_ins *ins, int lane, uint32_t b, uint32_t c, bool *valid)
{
    int limit = (int)(c & 31), segment = (int)(c >> 8 & 31), by = (int)(b & 31), from;
    int most = (lane & segment) | (limit & ~segment), least = lane & segment;
    switch (ins->sub) {
    case SHUFFLE_UP:
        from = lane - by;
        *valid = from >= most;
        break;
    case SHUFFLE_DOWN:
        from = lane + by;
        *valid = from <= most;
        break;
    case SHUFFLE_BFLY:
        from = lane ^ by;
        *valid = from <= most;
        break;
    default:
        from = least | (by & ~segment);
        *valid = from <= most;
        break;
    }
    return *valid ? from : lane;
}

void wh_do_shuffle(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (!converged(warp, ins, mask))
        return;
    uint32_t values[WH_LANES], inside = 0;
    /* Of lanes that take no part PTX promises nothing; hardware gives 0, and programs add that. */
    for (unsigned lane = 0; lane < WH_LANES; lane++)
        values[lane] = mask >> lane & 1 ? (uint32_t)wh_get(warp, ins->a, lane, false) : 0;
    WH_EACH_LANE(lane, mask)
    {
        bool valid;
        int from = shuffle_source(ins, (int)lane, (uint32_t)wh_get(warp, ins->b, lane, false),
                                  (uint32_t)wh_get(warp, ins->c, lane, false), &valid);
        wh_put(warp, ins->d, lane, false, values[from & 31]);
        inside |= (uint32_t)valid << lane;
    }
    if (ins->target != WH_NONE)
        wh_set_predicate(warp, ins->target, mask, inside);
}

void wh_do_vote(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (!converged(warp, ins, mask))
        return;
    uint32_t named = (uint32_t)wh_get(warp, ins->e, (unsigned)__builtin_ctz(mask), false) & mask;
    uint32_t votes =
        (wh_predicate(warp, ins->a) ^ (ins->flags & F_NEGATE ? UINT32_MAX : 0)) & named;
    bool all = votes == named, any = votes != 0;
    if (ins->sub == VOTE_BALLOT) {
        WH_EACH_LANE(lane, mask)
        wh_put(warp, ins->d, lane, false, votes);
        return;
    }
    bool result = ins->sub == VOTE_ALL ? all : ins->sub == VOTE_ANY ? any : all || !any;
    wh_set_predicate(warp, ins->d, mask, result ? UINT32_MAX : 0);
}

void wh_do_match(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (!converged(warp, ins, mask))
        return;
    bool wide = ins->flags & F_WIDE_ADDRESS, all = true;
    uint32_t same[WH_LANES] = {0};
    WH_EACH_LANE(lane, mask)
    {
        WH_EACH_LANE(other, mask)
        same[lane] |=
            (uint32_t)(wh_get(warp, ins->a, lane, wide) == wh_get(warp, ins->a, other, wide))
            << other;
        all &= same[lane] == mask;
    }
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false, ins->sub ? (all ? mask : 0) : same[lane]);
    if (ins->target != WH_NONE)
        wh_set_predicate(warp, ins->target, mask, all ? UINT32_MAX : 0);
}

static uint32_t reduce(const struct wh_ins *ins, uint32_t x, uint32_t y)
{
    bool less = ins->flags & F_SIGNED ? (int32_t)x < (int32_t)y : x < y;
    switch (ins->sub) {
    case REDUX_ADD:
        return x + y;
    case REDUX_MIN:
        return less ? x : y;
    case REDUX_MAX:
        return less ? y : x;
    case REDUX_AND:
        return x & y;
    case REDUX_OR:
        return x | y;
    default:
        return x ^ y;
    }
}

void wh_do_redux(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (!converged(warp, ins, mask))
        return;
    uint32_t first = (uint32_t)__builtin_ctz(mask),
             result = (uint32_t)wh_get(warp, ins->a, first, false);
    WH_EACH_LANE(lane, mask & ~(1u << first))
    result = reduce(ins, result, (uint32_t)wh_get(warp, ins->a, lane, false));
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false, result);
}

void wh_do_activemask(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false, mask);
}

void wh_do_elect(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (!converged(warp, ins, mask))
        return;
    uint32_t leader = (uint32_t)__builtin_ctz(mask);
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, false, leader);
    if (ins->target != WH_NONE)
        wh_set_predicate(warp, ins->target, mask, 1u << leader);
}
