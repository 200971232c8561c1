/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: their memory, their special registers, and turns for their warps. Called by pool.c. One
 * thread has a unit (a block, or the blocks of a cluster) at a time.
 */
#include "block.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t page(uint64_t size)
{
    return (size + 255) & ~255ull;
}

/* ---- special registers ---- */

static void set_all(struct wh_warp *warp, unsigned special, uint32_t value)
{
    uint32_t *reg = (uint32_t *)(void *)(warp->specials + special * WH_SLOT);
    for (unsigned lane = 0; lane < WH_LANES; lane++)
        reg[lane] = value;
}

static void set_three(struct wh_warp *warp, unsigned special, const uint32_t values[3])
{
    for (unsigned i = 0; i < 3; i++)
        set_all(warp, special + i, values[i]);
}

static void set_lanes(struct wh_warp *warp, const uint32_t block[3])
{
    uint32_t(*reg)[WH_LANES] = (uint32_t(*)[WH_LANES])(void *)warp->specials;
    for (unsigned lane = 0; lane < WH_LANES; lane++) {
        uint32_t thread = warp->index * WH_LANES + lane;
        reg[SR_TID][lane] = thread % block[0];
        reg[SR_TID + 1][lane] = thread / block[0] % block[1];
        reg[SR_TID + 2][lane] = thread / block[0] / block[1];
        reg[SR_LANEID][lane] = lane;
        reg[SR_LANEMASK_EQ][lane] = 1u << lane;
        reg[SR_LANEMASK_LT][lane] = (1u << lane) - 1;
        reg[SR_LANEMASK_LE][lane] = (2u << lane) - 1;
        reg[SR_LANEMASK_GE][lane] = ~((1u << lane) - 1);
        reg[SR_LANEMASK_GT][lane] = ~((2u << lane) - 1);
    }
    uint64_t *gridid = (uint64_t *)(void *)(warp->specials + SR_GRIDID * WH_SLOT);
    for (unsigned lane = 0; lane < WH_LANES; lane++)
        gridid[lane] = warp->block->job->gridid;
}

/* What stays the same for all blocks of a launch. */
static void set_launch(struct wh_warp *warp)
{
    const struct wh_job *job = warp->block->job;
    const struct wh_soft_launch *launch = job->launch;
    uint32_t clusters[3];
    for (unsigned i = 0; i < 3; i++)
        clusters[i] = launch->grid[i] / launch->cluster[i];
    set_lanes(warp, launch->block);
    set_three(warp, SR_NTID, launch->block);
    set_three(warp, SR_NCTAID, launch->grid);
    set_three(warp, SR_CLUSTER_NCTAID, launch->cluster);
    set_three(warp, SR_NCLUSTERID, clusters);
    set_all(warp, SR_CLUSTER_NCTARANK, job->cluster_size);
    set_all(warp, SR_IS_CLUSTER, job->cluster_size > 1 ? UINT32_MAX : 0);
    set_all(warp, SR_WARPID, warp->index);
    set_all(warp, SR_NWARPID, job->nwarps);
    set_all(warp, SR_NSMID, WH_PROCESSORS);
    set_all(warp, SR_DYNAMIC_SMEM, launch->dynamic_shared);
    set_all(warp, SR_TOTAL_SMEM, job->shared_size);
    set_all(warp, SR_DYNAMIC_SHARED, job->dynamic_base);
    set_all(warp, SR_ENVREG1, (uint32_t)(job->workspace >> 32));
    set_all(warp, SR_ENVREG2, (uint32_t)job->workspace);
    set_all(warp, SR_RESERVED, job->reserved);
}

static void set_block(struct wh_warp *warp)
{
    const struct wh_block *block = warp->block;
    const struct wh_soft_launch *launch = block->job->launch;
    uint32_t in_cluster[3], cluster[3];
    for (unsigned i = 0; i < 3; i++) {
        in_cluster[i] = block->ctaid[i] % launch->cluster[i];
        cluster[i] = block->ctaid[i] / launch->cluster[i];
    }
    set_three(warp, SR_CTAID, block->ctaid);
    set_three(warp, SR_CLUSTER_CTAID, in_cluster);
    set_three(warp, SR_CLUSTERID, cluster);
    set_all(warp, SR_CLUSTER_CTARANK, block->rank);
    set_all(warp, SR_SMID, block->ctaid[0] % WH_PROCESSORS);
}

/* ---- memory of a unit, kept from one of its blocks to the next ---- */

static bool warp_make(struct wh_block *block, uint32_t index)
{
    struct wh_warp *warp = &block->warps[index];
    warp->block = block;
    warp->index = index;
    warp->local_stride = block->job->function->local_need;
    warp->local = block->local + (size_t)index * WH_LANES * warp->local_stride;
    warp->specials = aligned_alloc(64, page(SR_COUNT * WH_SLOT));
    if (!warp->specials)
        return false;
    memset(warp->specials, 0, SR_COUNT * WH_SLOT);
    warp->base[BASE_SPECIAL] = warp->base[3] = warp->specials;
    set_launch(warp);
    return true;
}

static bool block_make(struct wh_job *job, struct wh_unit *unit, uint32_t index)
{
    struct wh_block *block = &unit->blocks[index];
    *block = (struct wh_block){
        .job = job, .unit = unit, .rank = index, .nthreads = job->nthreads, .nwarps = job->nwarps};
    block->shared_size = job->shared_size;
    block->shared = aligned_alloc(256, page(job->shared_size + 1));
    block->local_size = (size_t)job->nwarps * WH_LANES * job->function->local_need;
    block->local = calloc(1, block->local_size + 16);
    block->warps = calloc(job->nwarps, sizeof(*block->warps));
    if (!block->shared || !block->local || !block->warps)
        return false;
    memset(block->shared, 0, job->shared_size);
    for (uint32_t i = 0; i < job->nwarps; i++)
        if (!warp_make(block, i))
            return false;
    return true;
}

struct wh_unit *wh_unit_new(struct wh_job *job)
{
    struct wh_unit *unit = calloc(1, sizeof(*unit));
    if (!unit)
        return NULL;
    unit->nblocks = job->cluster_size;
    unit->blocks = calloc(unit->nblocks, sizeof(*unit->blocks));
    for (uint32_t i = 0; i < unit->nblocks; i++)
        if (!unit->blocks || !block_make(job, unit, i)) {
            wh_unit_free(unit);
            return NULL;
        }
    return unit;
}

static void block_end(struct wh_block *block)
{
    for (uint32_t i = 0; block->warps && i < block->nwarps; i++) {
        wh_frames_end(&block->warps[i]);
        free(block->warps[i].specials);
    }
    free(block->warps);
    free(block->local);
    free(block->shared);
}

void wh_unit_free(struct wh_unit *unit)
{
    for (uint32_t i = 0; unit && unit->blocks && i < unit->nblocks; i++)
        block_end(&unit->blocks[i]);
    if (unit)
        free(unit->blocks);
    free(unit);
}

/* ---- start ---- */

static bool warp_start(struct wh_warp *warp)
{
    const struct wh_block *block = warp->block;
    uint32_t left = block->nthreads - warp->index * WH_LANES;
    uint32_t lanes = left >= WH_LANES ? UINT32_MAX : (1u << left) - 1;
    set_block(warp);
    warp->frame = NULL;
    struct wh_frame *frame = wh_frame_new(warp, block->job->function, lanes);
    if (!frame)
        return false;
    warp->frame = frame;
    warp->live = lanes;
    warp->cluster_pending = 0;
    warp->carry = 0;
    warp->groups[0] = (struct wh_group){.mask = lanes, .frame = frame};
    warp->ngroups = 1;
    return true;
}

bool wh_unit_start(struct wh_unit *unit, uint64_t index)
{
    const struct wh_soft_launch *launch = unit->blocks[0].job->launch;
    uint32_t clusters[3], first[3];
    for (unsigned i = 0; i < 3; i++)
        clusters[i] = launch->grid[i] / launch->cluster[i];
    first[0] = (uint32_t)(index % clusters[0]) * launch->cluster[0];
    first[1] = (uint32_t)(index / clusters[0] % clusters[1]) * launch->cluster[1];
    first[2] = (uint32_t)(index / clusters[0] / clusters[1]) * launch->cluster[2];
    unit->cluster_arrived = 0;
    unit->cluster_live = unit->nblocks * unit->blocks[0].nthreads;
    for (uint32_t b = 0; b < unit->nblocks; b++) {
        struct wh_block *block = &unit->blocks[b];
        block->ctaid[0] = first[0] + b % launch->cluster[0];
        block->ctaid[1] = first[1] + b / launch->cluster[0] % launch->cluster[1];
        block->ctaid[2] = first[2] + b / launch->cluster[0] / launch->cluster[1];
        block->live = block->nthreads;
        if (block->job->reserved)
            memset(block->shared + block->job->reserved, 0, WH_RESERVED_SHARED);
        memset(block->barriers, 0, sizeof(block->barriers));
        for (uint32_t w = 0; w < block->nwarps; w++)
            if (!warp_start(&block->warps[w]))
                return false;
    }
    return true;
}

/* ---- run ---- */

enum wh_unit_state wh_unit_turn(struct wh_unit *unit)
{
    bool ran = false, spun = true;
    uint32_t live = 0;
    for (uint32_t b = 0; b < unit->nblocks; b++) {
        struct wh_block *block = &unit->blocks[b];
        for (uint32_t w = 0; w < block->nwarps && block->live; w++) {
            struct wh_warp *warp = &block->warps[w];
            if (!warp->live || !wh_warp_run(warp))
                continue;
            if (warp->event & EVENT_STOP)
                return UNIT_STOPPED;
            ran = true;
            spun &= warp->live && warp->spins > 0;
        }
        live += block->live;
    }
    if (!live)
        return UNIT_FINISHED;
    if (atomic_load_explicit(&unit->blocks[0].job->stop, memory_order_relaxed))
        return UNIT_STOPPED;
    if (ran && spun) /* whoever is waited for may need the processor */
        sched_yield();
    return ran ? UNIT_RUNS : UNIT_STUCK;
}

/* ---- faults ---- */

void wh_fault(struct wh_warp *warp, const struct wh_ins *ins, unsigned lane, int code,
              const char *format, ...)
{
    struct wh_job *job = warp->block->job;
    const struct wh_block *block = warp->block;
    const uint32_t(*special)[WH_LANES] = (const uint32_t(*)[WH_LANES])(void *)warp->specials;
    char text[sizeof(job->fault.text)];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    warp->event |= EVENT_STOP;
    pthread_mutex_lock(&job->lock);
    if (!job->fault.code) {
        job->fault.code = code;
        int n =
            snprintf(job->fault.text, sizeof(job->fault.text),
                     "%.90s: kernel %.40s, block %u,%u,%u, thread %u,%u,%u", text,
                     job->function->name, block->ctaid[0], block->ctaid[1], block->ctaid[2],
                     special[SR_TID][lane], special[SR_TID + 1][lane], special[SR_TID + 2][lane]);
        if (ins && n > 0 && (size_t)n < sizeof(job->fault.text))
            snprintf(job->fault.text + n, sizeof(job->fault.text) - (size_t)n, ", PTX line %u",
                     ins->line);
    }
    pthread_mutex_unlock(&job->lock);
    atomic_store_explicit(&job->stop, true, memory_order_relaxed);
}
