/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the driver in a piece of code that runs elsewhere, on this driver's memory: the same
 * sources, with what they need of the rest (callee.c) made for one who is alone with it. Whoever
 * links it provides soft_callee, `calloc` for what is let go of within a call, and soft_callee_take
 * for what stays.
 */
#ifndef WH_SOFTGPU_CALLEE_H
#define WH_SOFTGPU_CALLEE_H

#include "backend/softgpu/engine/view.h"
#include "backend/softgpu/softgpu.h"

struct soft_callee {
    struct soft_driver *driver;
    struct soft_object **buckets;
    struct soft_context *current;
    uint64_t now;                 /* of a call that records an event with a time; 0: it does not */
    struct wh_view view;          /* of launches; set by who links it */
    struct wh_soft_memory memory; /* that a launch reaches */
};

/* What the code works on; it stays the same during a call. */
struct soft_callee *soft_callee(void);

/* Memory for an object of so many bytes, zeroed, and back; NULL: there is none here. Only of sizes
 * in callee_sizes.h. */
void *soft_callee_take(size_t size);
void soft_callee_give(void *memory, size_t size);

/* Whether these bytes may be touched. */
bool soft_callee_sees(const void *bytes, size_t size);

/* What clock_gettime would say of CLOCK_MONOTONIC, roughly; 0: there is no clock now. */
uint64_t soft_callee_time(void);

/* The object with this handle, listed (borrowed); NULL: there is none, or `hidden`: that cannot be
 * told, for what comes before it cannot be looked at, be it the one that is meant. */
struct soft_object *soft_callee_search(const void *handle, bool *hidden);

/* Whether the driver's objects behind these handles, and the current context, can be looked at from
 * here. What is no handle can: it is an error. */
bool soft_callee_reaches_context(void);
bool soft_callee_reaches_named(CUcontext handle);
bool soft_callee_reaches_array(CUarray handle);
bool soft_callee_reaches_mipmap(CUmipmappedArray handle);
bool soft_callee_reaches_levels(CUmipmappedArray handle); /* with all of them */
bool soft_callee_reaches_texture(uint64_t number);
bool soft_callee_reaches_module(CUmodule handle);
bool soft_callee_reaches_library(CUlibrary handle);
bool soft_callee_reaches_function(CUfunction handle);
bool soft_callee_reaches_kernel(CUkernel handle);
bool soft_callee_reaches_launchable(CUfunction handle); /* either of the two */
bool soft_callee_reaches_names(CUmodule handle);        /* with what it has names for */
bool soft_callee_reaches_part(CUlibrary handle);        /* that of its module in this context */
bool soft_callee_reaches_kernels(CUlibrary handle);
bool soft_callee_reaches_pool(CUmemoryPool handle);
bool soft_callee_reaches_pools(void); /* the devices' */
bool soft_callee_reaches_stream(CUstream handle);
bool soft_callee_reaches_event(CUevent handle);

/* Whether what there is with this handle can be ended. */
bool soft_callee_reaches_event_end(CUevent handle);
bool soft_callee_reaches_stream_end(CUstream handle);
bool soft_callee_reaches_array_end(CUarray handle);
bool soft_callee_reaches_texture_end(uint64_t number);

/* Whether a stream can be put among the others. */
bool soft_callee_reaches_streams(void);

/* Whether the event can be recorded: one with a time when there is a clock, whose time it gets. */
bool soft_callee_reaches_record(CUevent handle);

/* Whether the maps of memory can be looked at, and changed. */
bool soft_callee_reaches_maps(void);

/* Whether those bytes of device memory can be touched; the maps can. */
bool soft_callee_reaches_bytes(uint64_t address, size_t size);

/* Whether a value in memory is what a wait is for, so that nobody waits. */
bool soft_callee_reaches_value(uint64_t address, uint64_t value, bool wide, unsigned flags);

/* Whether what begins there, if anything, is an ordinary allocation, all of which can be touched.
 */
bool soft_callee_reaches_allocation(uint64_t address);

/* The same of what is freed in a stream's order, with what the free makes its pool give back; and
 * of what the pool gives back when it is trimmed. */
bool soft_callee_reaches_free(uint64_t address);
bool soft_callee_reaches_pool_trim(CUmemoryPool handle);

/* Whether all bytes of an array can be touched. */
bool soft_callee_reaches_array_bytes(CUarray handle);

/* Whether a launch of so many blocks may be tried. */
bool soft_callee_reaches_launch(CUfunction handle, uint64_t blocks, uint64_t threads);

#endif
