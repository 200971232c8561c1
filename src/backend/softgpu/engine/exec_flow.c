/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Branches, calls, ends, barriers, clocks. Called as handlers; what they do to groups of lanes is
 * in schedule.c.
 */
#include "exec.h"
#include "flow.h"

#include "base/util.h"

#include <sched.h>
#include <string.h>

#define DEPTH_MAX 4096u

void wh_do_nothing(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    (void)warp;
    (void)ins;
    (void)mask;
}

void wh_do_branch(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    if (ins->target < warp->pc && (--warp->patience & 1023) == 0 &&
        atomic_load_explicit(&warp->block->job->stop, memory_order_relaxed))
        warp->event |= EVENT_STOP;
    if (mask == warp->active) {
        warp->pc = ins->target;
        return;
    }
    wh_warp_split(warp, mask, ins->target, warp->frame);
}

void wh_do_branch_index(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    while (mask) {
        unsigned first = (unsigned)__builtin_ctz(mask);
        uint64_t index = wh_get(warp, ins->a, first, false);
        uint32_t same = 0;
        if (index >= ins->target) {
            wh_fault(warp, ins, first, FAULT_PC, "branch to entry %llu of %u",
                     (unsigned long long)index, ins->target);
            return;
        }
        WH_EACH_LANE(lane, mask)
        same |= (uint32_t)(wh_get(warp, ins->a, lane, false) == index) << lane;
        mask &= ~same;
        if (same == warp->active) {
            warp->patience -= ins->list[index] < warp->pc;
            warp->pc = ins->list[index];
            return;
        }
        wh_warp_split(warp, same, ins->list[index], warp->frame);
    }
}

void wh_do_trap(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    wh_fault(warp, ins, (unsigned)__builtin_ctz(mask), FAULT_LAUNCH, "trap");
}

void wh_do_unsupported(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    wh_fault(warp, ins, (unsigned)__builtin_ctz(mask), FAULT_UNSUPPORTED, "%s",
             warp->frame->function->broken ? warp->frame->function->broken
                                           : "an instruction that is not supported");
}

void wh_do_fence(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    (void)warp;
    (void)ins;
    (void)mask;
    atomic_thread_fence(memory_order_seq_cst);
}

void wh_do_sleep(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    (void)ins;
    (void)mask;
    warp->spins += 1u << 16;
    warp->event |= EVENT_SWITCH;
}

void wh_do_clock(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    uint64_t now;
    struct timespec wall;
    if (ins->sub >= CLOCK_TIMER) {
        clock_gettime(CLOCK_REALTIME, &wall);
        now = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec;
    } else {
        now = wh_now_ns();
    }
    if (ins->sub == CLOCK_HIGH || ins->sub == CLOCK_TIMER_HIGH)
        now >>= 32;
    WH_EACH_LANE(lane, mask)
    wh_put(warp, ins->d, lane, ins->flags & F_WIDE_ADDRESS, now);
}

/* ---- calls ---- */

static void copy_words(uint32_t *to, const uint32_t *from, uint32_t bytes, uint32_t mask)
{
    for (uint32_t word = 0; word < (bytes + 3) / 4; word++, to += WH_LANES, from += WH_LANES) {
        if (mask == UINT32_MAX) {
            memcpy(to, from, WH_LANES * sizeof(*to));
            continue;
        }
        WH_EACH_LANE(lane, mask)
        to[lane] = from[lane];
    }
}

static uint32_t least(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

/* Lanes go into a function together; the others of their group wait behind the call. */
static void enter(struct wh_warp *warp, const struct wh_ins *ins,
                  const struct wh_function *function, uint32_t mask)
{
    const struct wh_call *call = ins->call;
    unsigned first = (unsigned)__builtin_ctz(mask);
    if (!function->defined) {
        wh_fault(warp, ins, first, FAULT_PC, "call of %s, which is not there", function->name);
        return;
    }
    struct wh_frame *frame =
        warp->frame->depth < DEPTH_MAX ? wh_frame_new(warp, function, mask) : NULL;
    if (!frame || (uint64_t)frame->local_base + function->local_size > warp->local_stride) {
        wh_fault(warp, ins, first, FAULT_STACK, "the call of %s overflows the stack",
                 function->name);
        return;
    }
    frame->site = ins;
    frame->return_pc = warp->pc;
    for (uint32_t i = 0; i < call->nargs && function->nreturns + i < function->nparams; i++) {
        const struct wh_param *from = &call->args[call->nreturns + i],
                              *to = &function->params[function->nreturns + i];
        copy_words(frame->in + to->offset / 4 * WH_LANES,
                   warp->frame->locals + from->offset / 4 * WH_LANES, least(from->size, to->size),
                   mask);
    }
    if (mask == warp->active) {
        warp->frame = frame;
        warp->groups[warp->current].frame = frame;
        warp->pc = 0;
        warp->event |= EVENT_SWITCH;
        return;
    }
    wh_warp_split(warp, mask, 0, frame);
}

static void call_indirect(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_soft_module *module = warp->block->job->module;
    while (mask) {
        unsigned first = (unsigned)__builtin_ctz(mask);
        uint64_t address = wh_get(warp, ins->call->through, first, true),
                 index = (address - WH_FUNCTION_WINDOW) / 16;
        uint32_t same = 0;
        if (address < WH_FUNCTION_WINDOW || address % 16 || index >= module->nfunctions) {
            wh_fault(warp, ins, first, FAULT_PC, "call of address %#llx, where no function is",
                     (unsigned long long)address);
            return;
        }
        const struct wh_function *function = module->functions[index];
        WH_EACH_LANE(lane, mask)
        same |= (uint32_t)(wh_get(warp, ins->call->through, lane, true) == address) << lane;
        mask &= ~same;
        if (function->builtin)
            function->builtin(warp, ins, same);
        else
            enter(warp, ins, function, same);
        if (warp->event & EVENT_STOP)
            return;
    }
}

void wh_do_call(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    const struct wh_function *function = ins->call->function;
    if (!function)
        call_indirect(warp, ins, mask);
    else if (function->builtin)
        function->builtin(warp, ins, mask);
    else
        enter(warp, ins, function, mask);
}

void wh_do_return(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    struct wh_frame *frame = warp->frame, *parent = frame->parent;
    if (!parent) {
        wh_do_exit(warp, ins, mask);
        return;
    }
    const struct wh_call *call = frame->site->call;
    const struct wh_function *function = frame->function;
    for (uint32_t i = 0; i < call->nreturns && i < function->nreturns; i++)
        copy_words(parent->locals + call->args[i].offset / 4 * WH_LANES,
                   frame->in + function->params[i].offset / 4 * WH_LANES,
                   least(call->args[i].size, function->params[i].size), mask);
    frame->lanes &= ~mask;
    if (mask != warp->active) {
        wh_warp_split(warp, mask, frame->return_pc, parent);
        return;
    }
    warp->pc = frame->return_pc;
    warp->frame = parent;
    warp->groups[warp->current].frame = parent;
    warp->event |= EVENT_SWITCH;
    if (!frame->lanes)
        wh_frame_free(warp, frame);
}

void wh_do_exit(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    (void)ins;
    for (struct wh_frame *frame = warp->frame; frame; frame = frame->parent)
        frame->lanes &= ~mask;
    wh_warp_ended(warp, mask);
}

/* ---- barriers ---- */

static void arrive(struct wh_warp *warp, const struct wh_ins *ins, struct wh_barrier *barrier,
                   uint32_t mask)
{
    uint32_t predicate = 0;
    if (!barrier->used) {
        *barrier = (struct wh_barrier){.used = true, .red_and = 1};
        barrier->expected =
            ins->b == WH_NONE
                ? 0
                : (uint32_t)wh_get(warp, ins->b, (unsigned)__builtin_ctz(mask), false);
    }
    if (ins->sub >= BARRIER_POPC) {
        predicate = (wh_predicate(warp, ins->c) ^ (ins->flags & F_NEGATE ? UINT32_MAX : 0)) & mask;
        barrier->red_and &= predicate == mask;
        barrier->red_or |= predicate != 0;
        barrier->red_popc += (uint32_t)__builtin_popcount(predicate);
    }
    /* Counts are of whole warps: one that is not full counts as if it were. */
    bool whole = barrier->expected && mask == warp->live;
    barrier->arrived += whole ? WH_LANES : (uint32_t)__builtin_popcount(mask);
}

void wh_do_barrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    unsigned first = (unsigned)__builtin_ctz(mask);
    uint64_t id = wh_get(warp, ins->a, first, false);
    if (id >= WH_BARRIERS) {
        wh_fault(warp, ins, first, FAULT_INSTRUCTION, "barrier %llu of %u", (unsigned long long)id,
                 WH_BARRIERS);
        return;
    }
    arrive(warp, ins, &warp->block->barriers[id], mask);
    if (ins->sub == BARRIER_ARRIVE) {
        wh_barrier_check(warp->block, (unsigned)id);
        return;
    }
    if (mask != warp->active) {
        struct wh_group *group = wh_warp_split(warp, mask, warp->pc, warp->frame);
        group->state = GROUP_BARRIER;
        group->barrier = (uint8_t)id;
    } else {
        warp->groups[warp->current].barrier = (uint8_t)id;
        wh_warp_wait(warp, GROUP_BARRIER);
    }
    wh_barrier_check(warp->block, (unsigned)id);
}

void wh_barrier_result(struct wh_warp *warp, const struct wh_group *group,
                       const struct wh_barrier *barrier)
{
    const struct wh_ins *ins = &group->frame->code[group->pc - 1];
    uint8_t *registers = group->frame->registers + (ins->d & ~3u);
    if (ins->sub == BARRIER_POPC) {
        WH_EACH_LANE(lane, group->mask)
        memcpy(registers + lane * 4, &barrier->red_popc, 4);
        return;
    }
    if (ins->sub != BARRIER_AND && ins->sub != BARRIER_OR)
        return;
    (void)warp;
    uint32_t value,
        result = (ins->sub == BARRIER_AND ? barrier->red_and : barrier->red_or) ? UINT32_MAX : 0;
    memcpy(&value, registers, sizeof(value));
    value = (value & ~group->mask) | (result & group->mask);
    memcpy(registers, &value, sizeof(value));
}

void wh_do_cluster_barrier(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    struct wh_unit *unit = warp->block->unit;
    if (!ins->sub) {
        unit->cluster_arrived += (uint32_t)__builtin_popcount(mask);
        wh_cluster_arrive(warp, mask);
        wh_cluster_check(unit);
        return;
    }
    if (wh_cluster_passed(warp, mask))
        return;
    if (mask != warp->active) {
        wh_warp_split(warp, mask, warp->pc, warp->frame)->state = GROUP_CLUSTER;
        return;
    }
    wh_warp_wait(warp, GROUP_CLUSTER);
}
