/* SPDX-License-Identifier: Apache-2.0 */
/* What a profiler is told of memory that a call allocated or freed, by its arguments. */
#include "shim/cuda/observe.h"

#include "cuda_params.h"

static bool find_range(uint64_t address, struct wh_cuda_range *range)
{
    return address && wh_cuda_ranges_find(wh_cuda_memory(), address, 0, range) &&
           range->start == address && range->kind != WH_CUDA_OF_GRAPH;
}

/* The address that a call is about to free; 0: it frees nothing. */
static uint64_t freed_by(const struct wh_cuda_frame *frame)
{
    switch (frame->number) {
    case WH_CUDA_cuMemFree_v2:
        return ((const struct wh_cuda_params_cuMemFree_v2 *)frame->params)->dptr;
    case WH_CUDA_cuMemFreeAsync:
        return ((const struct wh_cuda_params_cuMemFreeAsync *)frame->params)->dptr;
    case WH_CUDA_cuMemFreeHost:
        return (uintptr_t)((const struct wh_cuda_params_cuMemFreeHost *)frame->params)->p;
    default:
        return 0;
    }
}

void wh_cuda_memory_looked_up(struct wh_cuda_frame *frame)
{
    struct wh_cuda_range range;
    uint64_t address = freed_by(frame);
    if (!address || wh_cuda_ready() != CUDA_SUCCESS || !find_range(address, &range))
        return;
    frame->freed = address;
    frame->freed_bytes = range.size;
    frame->freed_memory = (uint8_t)wh_cuda_observed_memory(address);
}

/* ---- when it is done ---- */

static void say(struct wh_observed_memory_call *memory, enum wh_observed_memory sort,
                uint64_t address, uint64_t bytes)
{
    memory->what = WH_ALLOCATES;
    memory->memory = sort;
    memory->address = address;
    memory->bytes = bytes;
}

static void say_in_order(struct wh_observed_memory_call *memory, CUstream stream)
{
    memory->asynchronous = true;
    memory->stream = wh_cuda_stream_number(stream);
}

static void say_allocated(struct wh_observed_memory_call *memory, const struct wh_cuda_frame *frame)
{
    switch (frame->number) {
    case WH_CUDA_cuMemAlloc_v2: {
        const struct wh_cuda_params_cuMemAlloc_v2 *p = frame->params;
        say(memory, WH_OF_DEVICE, *p->dptr, p->bytesize);
        break;
    }
    case WH_CUDA_cuMemAllocPitch_v2: {
        const struct wh_cuda_params_cuMemAllocPitch_v2 *p = frame->params;
        say(memory, WH_OF_DEVICE, *p->dptr, *p->pPitch * p->Height);
        break;
    }
    case WH_CUDA_cuMemAllocManaged: {
        const struct wh_cuda_params_cuMemAllocManaged *p = frame->params;
        say(memory, WH_OF_MANAGED, *p->dptr, p->bytesize);
        break;
    }
    case WH_CUDA_cuMemHostAlloc: {
        const struct wh_cuda_params_cuMemHostAlloc *p = frame->params;
        say(memory, WH_OF_PINNED, (uintptr_t)*p->pp, p->bytesize);
        break;
    }
    case WH_CUDA_cuMemAllocHost_v2: {
        const struct wh_cuda_params_cuMemAllocHost_v2 *p = frame->params;
        say(memory, WH_OF_PINNED, (uintptr_t)*p->pp, p->bytesize);
        break;
    }
    case WH_CUDA_cuMemAllocAsync: {
        const struct wh_cuda_params_cuMemAllocAsync *p = frame->params;
        say(memory, WH_OF_DEVICE, *p->dptr, p->bytesize);
        say_in_order(memory, p->hStream);
        break;
    }
    case WH_CUDA_cuMemAllocFromPoolAsync: {
        const struct wh_cuda_params_cuMemAllocFromPoolAsync *p = frame->params;
        say(memory, WH_OF_DEVICE, *p->dptr, p->bytesize);
        say_in_order(memory, p->hStream);
        break;
    }
    default:
        break;
    }
}

void wh_cuda_say_memory(struct wh_observed_memory_call *memory, const struct wh_cuda_frame *frame)
{
    struct wh_cuda_range range;
    *memory = (struct wh_observed_memory_call){.stream = WH_OBSERVE_NO_ID};
    say_allocated(memory, frame);
    if (memory->what == WH_ALLOCATES && !find_range(memory->address, &range))
        memory->what = WH_NO_MEMORY; /* a node of a graph, which does it later */
    if (!frame->freed)
        return;
    say(memory, (enum wh_observed_memory)frame->freed_memory, frame->freed, frame->freed_bytes);
    memory->what = WH_FREES;
    if (frame->number == WH_CUDA_cuMemFreeAsync)
        say_in_order(memory,
                     ((const struct wh_cuda_params_cuMemFreeAsync *)frame->params)->hStream);
}
