/* SPDX-License-Identifier: Apache-2.0 */
/* Launches in a view; see view.h. Handlers are found by their numbers, instructions are counted,
 * and what is written is logged first. */
#include "view.h"

#include "access.h"
#include "alu.h"
#include "exec.h"
#include "handlers.h"
#include "image.h"
#include "job.h"

#include <string.h>

#define STEPS      16384u      /* instructions of warps, of a launch: some milliseconds */
#define MOST_STEPS (4 * STEPS) /* of all launches that one caller comes to run */
#define MOST_BYTES (8u << 20)  /* of registers that are cleared, which takes time too: */
#define WARP_BYTES 8192u       /* so many of a warp, and its own */
#define GIVES_UP   3u          /* a kernel that was put back so often is not tried again */

/* One write, in the log; its bytes before are behind it. */
struct entry {
    void *at;
    uint64_t size;
};

/* ---- the processor has what every processor with views has ---- */

const struct wh_alu *wh_alu_best(void)
{
    return &wh_alu_baseline;
}

const struct wh_access *wh_access_best(void)
{
    return &wh_access_baseline;
}

/* ---- one instruction ---- */

static void give_up(struct wh_warp *warp)
{
    struct wh_job *job = warp->block->job;
    job->fault.code = job->fault.code ? job->fault.code : FAULT_LAUNCH;
    atomic_store_explicit(&job->stop, true, memory_order_relaxed);
    warp->event |= EVENT_STOP;
}

/* To go back costs what may be stepped over on the way there again. */
void wh_step(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask)
{
    struct wh_view *view = wh_view();
    const struct wh_function *function = warp->frame->function;
    uint32_t before = warp->pc;
    if (view->steps <= view->end) {
        give_up(warp);
        return;
    }
    view->steps--;
    wh_handler_at(function->numbers[ins - warp->code].run)(warp, ins, mask);
    if (warp->pc < before) {
        uint32_t left = view->steps - view->end, over = (before - warp->pc) / 8;
        view->steps -= left < over ? left : over;
    }
}

uint32_t wh_compare_lanes(struct wh_warp *warp, const struct wh_ins *ins)
{
    const struct wh_function *function = warp->frame->function;
    return wh_compare_at(function->numbers[ins - warp->code].compare)(warp, ins);
}

bool wh_may_write(struct wh_warp *warp, void *at, uint64_t size)
{
    struct wh_view *view = wh_view();
    struct entry entry = {.at = at, .size = size};
    const uint8_t *bytes = at;
    if (bytes >= view->own && bytes < view->own_end)
        return true;
    uint64_t room = sizeof(entry) + ((size + 7) & ~7ull);
    if (size > view->log_size || room > view->log_size - view->log_used) {
        give_up(warp);
        return false;
    }
    memcpy(view->log + view->log_used, at, size);
    view->log_used += (uint32_t)room;
    memcpy(view->log + view->log_used - sizeof(entry), &entry, sizeof(entry));
    return true;
}

/* ---- a launch ---- */

bool wh_view_sees_module(const struct wh_soft_module *module)
{
    const struct wh_view *view = wh_view();
    return view->sees(module, sizeof(*module)) && wh_arena_seen(&module->arena, view->sees);
}

bool wh_view_sees(const struct wh_soft_kernel *kernel)
{
    return wh_view()->sees(kernel, sizeof(*kernel)) && wh_view_sees_module(kernel->module);
}

void wh_view_enter(void)
{
    wh_view()->steps = MOST_STEPS;
}

bool wh_view_begin(const struct wh_soft_kernel *kernel, uint64_t blocks, uint64_t threads)
{
    struct wh_view *view = wh_view();
    if (view->steps < STEPS || !wh_view_sees(kernel))
        return false;
    struct wh_function *function = kernel->function;
    uint64_t warps = (threads + WH_LANES - 1) / WH_LANES;
    uint64_t each = WARP_BYTES + function->frame_size;
    if (!function->numbers || function->gave_up >= GIVES_UP || warps == 0 ||
        warps > MOST_BYTES / each || blocks > MOST_BYTES / (warps * each))
        return false;
    view->function = function;
    view->end = view->steps - STEPS;
    view->log_used = 0;
    return true;
}

void wh_view_end(void)
{
    struct wh_view *view = wh_view();
    view->function = NULL;
    view->log_used = 0;
}

void wh_view_undo(void)
{
    struct wh_view *view = wh_view();
    struct entry entry;
    if (!view->function)
        return;
    view->function->gave_up++;
    while (view->log_used) {
        memcpy(&entry, view->log + view->log_used - sizeof(entry), sizeof(entry));
        view->log_used -= (uint32_t)(sizeof(entry) + ((entry.size + 7) & ~7ull));
        memcpy(entry.at, view->log + view->log_used, entry.size);
    }
    view->function = NULL;
}

/* ---- nothing is loaded here ---- */

enum wh_soft_status wh_image_load(struct wh_soft_module *module, const void *image, size_t size,
                                  struct wh_error *error)
{
    (void)module, (void)image, (void)size, (void)error;
    return WH_SOFT_NO_MEMORY;
}

enum wh_soft_status wh_link(struct wh_soft_module *module, struct wh_error *error)
{
    (void)module, (void)error;
    return WH_SOFT_NO_MEMORY;
}

void wh_heap_free(struct wh_soft_module *module)
{
    (void)module;
}

/* ---- nobody helps, and nothing is printed ---- */

void wh_pool_publish(struct wh_job *job)
{
    (void)job;
}

void wh_pool_retire(struct wh_job *job)
{
    (void)job;
}

void wh_job_flush(struct wh_job *job)
{
    (void)job;
}
