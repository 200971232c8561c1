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
    uint32_t steps; /* instructions of warps that are left to whoever has called */
    uint32_t end;   /* what must be left of them after the launch */
    struct wh_function *function;
};

/* The caller's; it stays the same during a launch. */
struct wh_view *wh_view(void);

/* There is a new caller, who has so much time. */
void wh_view_enter(void);

/* Whether a module's code, and all that it has names for, can be looked at; and a kernel of it. */
bool wh_view_sees_module(const struct wh_soft_module *module);
bool wh_view_sees(const struct wh_soft_kernel *kernel);

/* Whether a launch of so many blocks and threads of each may be tried: all of the kernel's code can
 * be seen and handled, is not known to be too much, and the caller has the time. If so, it is the
 * next to be run. */
bool wh_view_begin(const struct wh_soft_kernel *kernel, uint64_t blocks, uint64_t threads);

/* It came to its end: there is nothing more to be put back. */
void wh_view_end(void);

/* Puts back what it wrote: it did not come to its end. Nothing, where no launch is under way. */
void wh_view_undo(void);

#endif
