/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which lanes of a warp run next. Lanes that stand at one instruction of one frame form a group. Of
 * the groups that can run, the one in the deepest call and at the lowest instruction goes first, up
 * to where the next one waits: so lanes that parted come together again where their paths do. A
 * group that only seems to wait for others loses its turn, so that spin locks within a warp make
 * progress. Called by block.c, and by the handlers that part and join lanes.
 */
#include "exec.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE    (1 << 16)   /* backward branches of one turn */
#define SPINS       24u         /* instructions that look like waiting, of one turn */
#define FRAME_BYTES (64u << 20) /* most bytes of a warp's frames */

/* ---- frames ---- */

static size_t round_size(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* One that was left, large enough and not much larger. */
static struct wh_frame *take_spare(struct wh_warp *warp, const struct wh_function *function,
                                   size_t size)
{
    struct wh_frame **at = &warp->spare[function->index % 8];
    for (unsigned i = 0; i < 4 && *at; i++, at = &(*at)->parent)
        if ((*at)->size >= size && (*at)->size <= size * 2) {
            struct wh_frame *frame = *at;
            *at = frame->parent;
            return frame;
        }
    return NULL;
}

static struct wh_frame *make_frame(struct wh_warp *warp, size_t size)
{
    if (warp->frame_bytes + size > FRAME_BYTES)
        return NULL;
    struct wh_frame *frame = aligned_alloc(64, size);
    if (!frame)
        return NULL;
    warp->frame_bytes += size;
    frame->size = size;
    frame->all = warp->frames;
    warp->frames = frame;
    return frame;
}

struct wh_frame *wh_frame_new(struct wh_warp *warp, const struct wh_function *function,
                              uint32_t lanes)
{
    size_t header = round_size(sizeof(struct wh_frame)),
           registers = round_size(function->frame_size);
    size_t in = function->entry ? 0 : round_size((size_t)(function->params_size + 7) / 4 * WH_SLOT);
    size_t locals = round_size((size_t)(function->locals_size + 7) / 4 * WH_SLOT);
    size_t size = header + registers + in + locals;
    struct wh_frame *frame = take_spare(warp, function, size), *parent = warp->frame;
    if (!frame)
        frame = make_frame(warp, size);
    if (!frame)
        return NULL;
    uint8_t *at = (uint8_t *)frame;
    memset(at + header, 0, size - header);
    frame->parent = parent;
    frame->function = function;
    frame->code = function->code;
    frame->site = NULL;
    frame->return_pc = 0;
    frame->lanes = lanes;
    frame->registers = at + header;
    frame->in = (uint32_t *)(void *)(at + header + registers);
    frame->locals = (uint32_t *)(void *)(at + header + registers + in);
    frame->depth = parent ? parent->depth + 1 : 0;
    frame->local_base =
        parent ? parent->local_base + ((parent->function->local_size + 15) & ~15u) : 0;
    return frame;
}

void wh_frame_free(struct wh_warp *warp, struct wh_frame *frame)
{
    struct wh_frame **spare = &warp->spare[frame->function->index % 8];
    frame->parent = *spare;
    *spare = frame;
}

void wh_frames_end(struct wh_warp *warp)
{
    while (warp->frames) {
        struct wh_frame *frame = warp->frames;
        warp->frames = frame->all;
        free(frame);
    }
}

/* ---- groups ---- */

/* The frame of a group that goes: perhaps its last lanes. */
static void leave_frame(struct wh_warp *warp, struct wh_frame *frame)
{
    while (frame && frame->lanes == 0) {
        struct wh_frame *parent = frame->parent;
        wh_frame_free(warp, frame);
        frame = parent;
    }
}

struct wh_group *wh_warp_split(struct wh_warp *warp, uint32_t mask, uint32_t pc,
                               struct wh_frame *frame)
{
    struct wh_group *current = &warp->groups[warp->current], *group = NULL;
    /* A group without lanes is free; there are as many groups as lanes, and each has one at least.
     */
    for (unsigned i = 0; i < warp->ngroups && !group; i++)
        if (warp->groups[i].mask == 0)
            group = &warp->groups[i];
    if (!group)
        group = &warp->groups[warp->ngroups++];
    *group = (struct wh_group){.mask = mask, .pc = pc, .frame = frame, .ran = current->ran};
    warp->active &= ~mask;
    current->mask = warp->active;
    warp->event |= EVENT_SWITCH;
    return group;
}

void wh_warp_wait(struct wh_warp *warp, enum wh_group_state state)
{
    warp->groups[warp->current].state = (uint8_t)state;
    warp->groups[warp->current].pc = warp->pc;
    warp->event |= EVENT_SWITCH;
}

void wh_warp_ended(struct wh_warp *warp, uint32_t lanes)
{
    struct wh_block *block = warp->block;
    warp->live &= ~lanes;
    warp->active &= ~lanes;
    warp->groups[warp->current].mask = warp->active;
    warp->event |= EVENT_SWITCH;
    uint32_t n = (uint32_t)__builtin_popcount(lanes);
    block->live -= n;
    block->unit->cluster_live -= n;
    if (!warp->active)
        leave_frame(warp, warp->frame);
    for (unsigned i = 0; i < WH_BARRIERS; i++)
        if (block->barriers[i].used)
            wh_barrier_check(block, i);
    wh_cluster_check(block->unit);
}

/* Lanes that wait to converge go on when all they wait for stand with them. */
static void join(struct wh_warp *warp)
{
    for (unsigned i = 0; i < warp->ngroups; i++) {
        struct wh_group *group = &warp->groups[i];
        for (unsigned j = i + 1; j < warp->ngroups && group->mask; j++) {
            struct wh_group *other = &warp->groups[j];
            if (!other->mask || other->pc != group->pc || other->frame != group->frame)
                continue;
            bool waits = group->state == GROUP_BARRIER || other->state == GROUP_BARRIER ||
                         group->state == GROUP_CLUSTER || other->state == GROUP_CLUSTER;
            if (waits && (group->state != other->state || group->barrier != other->barrier))
                continue;
            group->mask |= other->mask;
            other->mask = 0;
            if (group->state == GROUP_CONVERGE || other->state == GROUP_CONVERGE)
                group->state = GROUP_READY; /* looks again */
        }
    }
    while (warp->ngroups && warp->groups[warp->ngroups - 1].mask == 0)
        warp->ngroups--;
}

static bool goes_first(const struct wh_group *x, const struct wh_group *y)
{
    return x->frame->depth != y->frame->depth ? x->frame->depth > y->frame->depth : x->pc < y->pc;
}

/* The next group, or NULL; *stop: where it meets another one. */
static struct wh_group *choose(struct wh_warp *warp, bool fair, uint32_t *stop)
{
    struct wh_group *best = NULL;
    for (unsigned i = 0; i < warp->ngroups; i++) {
        struct wh_group *group = &warp->groups[i];
        if (!group->mask || group->state != GROUP_READY)
            continue;
        if (!best || (fair ? group->ran < best->ran : goes_first(group, best)))
            best = group;
    }
    *stop = UINT32_MAX;
    for (unsigned i = 0; best && !fair && i < warp->ngroups; i++) {
        const struct wh_group *group = &warp->groups[i];
        if (group != best && group->mask && group->state <= GROUP_CONVERGE &&
            group->frame->depth == best->frame->depth && group->pc > best->pc && group->pc < *stop)
            *stop = group->pc;
    }
    return best;
}

/* Nobody else can come: those that wait to converge do with who is there. */
static bool give_in(struct wh_warp *warp)
{
    bool some = false;
    for (unsigned i = 0; i < warp->ngroups; i++)
        if (warp->groups[i].mask && warp->groups[i].state == GROUP_CONVERGE) {
            warp->groups[i].state = GROUP_READY;
            some = true;
        } else if (warp->groups[i].mask) {
            return some;
        }
    return some;
}

static void load(struct wh_warp *warp, struct wh_group *group, uint32_t stop)
{
    warp->current = (unsigned)(group - warp->groups);
    warp->frame = group->frame;
    warp->code = group->frame->code;
    warp->base[BASE_FRAME] = group->frame->registers;
    warp->base[BASE_CONSTANTS] = group->frame->function->pool;
    warp->pc = group->pc;
    warp->active = group->mask;
    warp->stop = stop;
    warp->event = 0;
    group->ran = ++warp->turns;
}

/* The loop that everything is for. */
static void run_group(struct wh_warp *warp)
{
    while (warp->pc < warp->stop) {
        const struct wh_ins *ins = &warp->code[warp->pc++];
        uint32_t mask =
            warp->active & (wh_predicate(warp, ins->guard) ^ (uint32_t) - (int32_t)ins->invert);
        if (mask)
            wh_step(warp, ins, mask);
        if (__builtin_expect(warp->event != 0 || warp->patience <= 0 || warp->spins > SPINS, 0))
            break;
    }
    struct wh_group *group = &warp->groups[warp->current];
    group->pc = warp->pc;
    group->mask = warp->active;
}

static unsigned count_ready(const struct wh_warp *warp)
{
    unsigned n = 0;
    for (unsigned i = 0; i < warp->ngroups; i++)
        n += warp->groups[i].mask && warp->groups[i].state == GROUP_READY;
    return n;
}

bool wh_warp_run(struct wh_warp *warp)
{
    bool ran = false, fair = false;
    uint32_t stop;
    unsigned turns = 0;
    warp->patience = PATIENCE;
    warp->spins = 0;
    while (warp->live) {
        if (warp->ngroups > 1)
            join(warp);
        struct wh_group *group = choose(warp, fair, &stop);
        warp->deadlocked = !group && give_in(warp);
        if (!group && !warp->deadlocked)
            return ran;
        if (!group)
            group = choose(warp, true, &stop);
        load(warp, group, stop);
        run_group(warp);
        warp->deadlocked = false;
        ran = true;
        if (warp->event & EVENT_STOP)
            return true;
        if (warp->patience > 0 && warp->spins <= SPINS)
            continue;
        /* The turn is over. Others of the warp get one, once each; then it is the next warp's. */
        fair = true;
        if (++turns >= count_ready(warp))
            return true;
        warp->patience = PATIENCE;
        warp->spins = 0;
    }
    return ran;
}

/* ---- barriers: who waits goes on when all have come ---- */

static void release(struct wh_block *block, enum wh_group_state state, unsigned id)
{
    for (uint32_t w = 0; w < block->nwarps; w++) {
        struct wh_warp *warp = &block->warps[w];
        for (unsigned i = 0; i < warp->ngroups; i++) {
            struct wh_group *group = &warp->groups[i];
            if (group->mask && group->state == state &&
                (state == GROUP_CLUSTER || group->barrier == id))
                group->state = GROUP_READY;
        }
    }
}

static void give_results(struct wh_block *block, unsigned id, const struct wh_barrier *barrier);

void wh_barrier_check(struct wh_block *block, unsigned id)
{
    struct wh_barrier *barrier = &block->barriers[id];
    uint32_t expected = barrier->expected ? barrier->expected : block->live;
    if (!barrier->used || barrier->arrived < expected)
        return;
    give_results(block, id, barrier);
    barrier->used = false;
    release(block, GROUP_BARRIER, id);
}

/* bar.red: those that wait stand behind the instruction, and get what it computed. */
static void give_results(struct wh_block *block, unsigned id, const struct wh_barrier *barrier)
{
    for (uint32_t w = 0; w < block->nwarps; w++) {
        struct wh_warp *warp = &block->warps[w];
        for (unsigned i = 0; i < warp->ngroups; i++) {
            const struct wh_group *group = &warp->groups[i];
            if (group->mask && group->state == GROUP_BARRIER && group->barrier == id)
                wh_barrier_result(warp, group, barrier);
        }
    }
}

void wh_cluster_arrive(struct wh_warp *warp, uint32_t mask)
{
    warp->cluster_pending |= mask;
}

bool wh_cluster_passed(const struct wh_warp *warp, uint32_t mask)
{
    return (warp->cluster_pending & mask) == 0;
}

void wh_cluster_check(struct wh_unit *unit)
{
    if (unit->cluster_arrived < unit->cluster_live || unit->cluster_arrived == 0)
        return;
    unit->cluster_arrived = 0;
    for (uint32_t b = 0; b < unit->nblocks; b++) {
        for (uint32_t w = 0; w < unit->blocks[b].nwarps; w++)
            unit->blocks[b].warps[w].cluster_pending = 0;
        release(&unit->blocks[b], GROUP_CLUSTER, 0);
    }
}
