/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches where the engine's code is another copy of it, has no C library and no threads, sees
 * only some of the memory, and has a moment only. A launch there comes to its end, or everything
 * that it wrote is put back: then it is as if it had not been begun, and somebody else runs it.
 * Linked into the worker's callee only, with the engine's files compiled with WH_IN_VIEW.
 */
#ifndef WH_SOFTGPU_VIEW_H
#define WH_SOFTGPU_VIEW_H

#include "engine.h"

struct wh_function;

struct wh_view {
    bool (*sees)(const void *bytes, size_t size);
    const uint8_t *own, *own_end; /* where launches have memory of their own: nobody else's */
    uint8_t *log;                 /* what was there before it was written; log_size bytes */
    uint32_t log_size, log_used;
    uint32_t steps; /* instructions of warps that are left */
    struct wh_function *function;
};

/* The caller's; it stays the same during a launch. */
struct wh_view *wh_view(void);

/* Whether a launch of so many blocks and threads of each may be tried: all of the kernel's code can
 * be seen and handled, and is not known to be too much. If so, it is the next to be run. */
bool wh_view_begin(const struct wh_soft_kernel *kernel, uint64_t blocks, uint64_t threads);

/* Puts back what it wrote: it did not come to its end. */
void wh_view_undo(void);

#endif
