/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches in the callee: which may be tried, the memory that they reach, and that one which does
 * not come to its end leaves no trace. The engine's part of it is in engine/view.h.
 */
#include "backend/softgpu/callee.h"

#include "backend/softgpu/graph.h"
#include "backend/softgpu/library.h"
#include "backend/softgpu/memory.h"
#include "backend/softgpu/pool.h"
#include "base/log.h"

struct wh_view *wh_view(void)
{
    return &soft_callee()->view;
}

/* ---- memory ---- */

/* All of what a launch reaches must be there, before it reaches for the first byte. */
static bool reach(void *owner, uint64_t address, uint64_t *start, uint64_t *end)
{
    struct soft_range range;
    return soft_range_find(address, &range) &&
           (!range.pool || soft_callee_sees(range.pool, sizeof(*range.pool))) &&
           soft_memory_reach(owner, address, start, end) &&
           soft_callee_sees((const void *)(uintptr_t)*start, *end - *start);
}

static uint64_t allocate(void *owner, size_t size, size_t alignment)
{
    (void)owner, (void)size, (void)alignment;
    return 0;
}

static void release(void *owner, uint64_t address)
{
    (void)owner, (void)address;
}

const struct wh_soft_memory *soft_memory_of(struct soft_context *context)
{
    struct wh_soft_memory *memory = &soft_callee()->memory;
    *memory = (struct wh_soft_memory){
        .reach = reach, .allocate = allocate, .release = release, .owner = context};
    return memory;
}

/* ---- functions ---- */

/* The function that is launched by this handle; made, if the library is in the context already. */
static const struct soft_function *find_function(CUfunction handle)
{
    enum soft_kind kind;
    struct soft_function *made;
    struct soft_object *object = soft_object_find(handle, &kind);
    soft_object_release(object);
    if (object && kind == SOFT_FUNCTION)
        return (const struct soft_function *)object;
    if (!object || kind != SOFT_KERNEL)
        return NULL;
    const struct soft_function *function = soft_kernel_made(
        (const struct soft_kernel *)object, soft_callee()->current, soft_callee_sees);
    if (function || !soft_callee_reaches_launchable(handle) ||
        soft_launchable_find(handle, &made) != CUDA_SUCCESS)
        return function;
    soft_object_release(made); /* its module has it */
    return made;
}

bool soft_callee_reaches_launch(CUfunction handle, uint64_t blocks, uint64_t threads)
{
    const struct soft_function *function = find_function(handle);
    return function && soft_callee_sees(function, sizeof(*function)) && function->object.context &&
           soft_callee_sees(function->object.context, sizeof(*function->object.context)) &&
           wh_view_begin(function->code, blocks, threads);
}

size_t soft_payload_split(const void *image, size_t size, const void **images, size_t *sizes,
                          size_t most)
{
    (void)image, (void)size, (void)images, (void)sizes, (void)most;
    return 0;
}

void soft_jit_report(const struct soft_jit *jit, CUresult result, const char *text,
                     uint64_t nanoseconds)
{
    (void)jit, (void)result, (void)text, (void)nanoseconds;
}

void wh_log(const char *format, ...)
{
    (void)format;
}

void wh_debug(const char *format, ...)
{
    (void)format;
}

/* ---- commands: nothing is before them ---- */

/* One that fails is the driver's to run, which then fails as it should. */
CUresult soft_submit(struct soft_stream *stream, struct soft_command *command,
                     struct soft_mark *mark)
{
    struct soft_context *context = stream->object.context;
    int before = atomic_load(&context->fault);
    if (mark)
        *mark = (struct soft_mark){NULL, 0};
    soft_command_run(stream, command);
    if (atomic_load(&context->fault) == before) {
        wh_view_end();
        return CUDA_SUCCESS;
    }
    wh_view_undo();
    atomic_store(&context->fault, before);
    atomic_store(&context->cancel, false);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* There is no clock to meter it by. */
void soft_meter_kernels(const struct soft_device *device, int change)
{
    (void)device, (void)change;
}
