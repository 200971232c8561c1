/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view: what callee.c (which there are, how one begins) and
 * callee_*.c (the calls) share. Each looks whether it can reach what it will touch before it
 * touches anything. The calls themselves are the backend's and the driver's, linked once more.
 */
#ifndef WH_BACKEND_CUDA_CALLEE_H
#define WH_BACKEND_CUDA_CALLEE_H

#include "backend/cuda/backend.h"
#include "backend/cuda/in_view.h"
#include "backend/softgpu/callee.h"
#include "backend/softgpu/queue.h"
#include "worker/gate.h"

/* False: nothing was done, not here. */
typedef bool wh_callee_run(struct wh_call *call, uint64_t *a);

#define WH_CALLEE_DECLARE(call, function, posted) wh_callee_run wh_callee_##function;
WH_CUDA_IN_VIEW(WH_CALLEE_DECLARE)
#undef WH_CALLEE_DECLARE

#define POINTER(type, i) ((type *)(uintptr_t)a[i])
#define STREAM_AT(i)     soft_callee_reaches_stream(POINTER(struct CUstream_st, i))
#define EVENT_AT(i)      soft_callee_reaches_event(POINTER(struct CUevent_st, i))
#define STREAM           STREAM_AT(0)
#define EVENT            EVENT_AT(0)

/* One call, once what it reaches is known to be there. */
#define RUN(name, reaches, function, ...)                        \
    bool wh_callee_##name(struct wh_call *call, uint64_t *a)     \
    {                                                            \
        (void)call, (void)a;                                     \
        if (!(reaches))                                          \
            return false;                                        \
        a[WH_RESULT] = (uint64_t)(int64_t)function##__VA_ARGS__; \
        return true;                                             \
    }

#define CALL(name, reaches, ...) RUN(name, reaches, cu, __VA_ARGS__)          /* the driver's */
#define HAND(name, reaches, ...) RUN(name, reaches, wh_cuda_do_, __VA_ARGS__) /* the backend's */

/* Whether the maps of memory can be looked at, and changed. */
static inline bool wh_callee_reaches_maps(struct wh_call *call)
{
    return soft_callee_reaches_maps() &&
           wh_cuda_ranges_seen(wh_cuda_state(call)->ranges, wh_callee_sees);
}

/* Few enough bytes to be moved in a moment, and here. */
static inline bool wh_callee_has_bytes(uint64_t address, uint64_t n, uint64_t each)
{
    return n <= SOFT_SMALL_BYTES / each && soft_callee_reaches_bytes(address, n * each);
}

#endif
