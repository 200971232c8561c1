/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that may run in a session's view (worker/callee.c): which there are, how one begins,
 * and what the backend's files that are linked once more need of the rest of it. For the callee
 * only, which has no memory of its own. The calls are in callee_*.c.
 */
#include "backend/cuda/callee.h"

#include "backend/cuda/graph.h"
#include "worker/exchange.h"
#include "worker/table.h"

struct soft_callee *soft_callee(void)
{
    struct wh_gate *gate = wh_callee_gate();
    _Static_assert(sizeof(struct soft_callee) <= sizeof(gate->scratch), "it has room there");
    return (struct soft_callee *)(void *)gate->scratch;
}

bool soft_callee_sees(const void *bytes, size_t size)
{
    return wh_callee_sees(bytes, size);
}

void *soft_callee_take(size_t size)
{
    return wh_stock_take(&wh_callee_gate()->stock, size);
}

void soft_callee_give(void *memory, size_t size)
{
    wh_stock_give(&wh_callee_gate()->stock, memory, size);
}

uint64_t soft_callee_time(void)
{
    const struct wh_gate *gate = wh_callee_gate();
    return gate->may_read_tsc ? wh_clock_time(&gate->clock, wh_callee_tsc()) : 0;
}

/* The context with this id, NULL if it has ended; false: what is at its place cannot be seen. */
static bool find_context(struct wh_table *table, uint32_t id, struct soft_context **context)
{
    struct wh_entry *_Atomic *place = wh_table_place(table, id, wh_callee_sees);
    struct wh_entry *entry = place ? *place : NULL;
    if (!place || (entry && !wh_callee_sees(entry, sizeof(*entry))))
        return false;
    *context = entry && entry->type == WH_CUDA_TYPE_CUcontext ? entry->real : NULL;
    return true;
}

/* The client thread's context, as wh_cuda_enter has it. */
static bool enter(struct wh_call *call)
{
    struct wh_gate *gate = wh_callee_gate();
    const struct wh_cuda_contexts *contexts = gate->backend[0];
    struct wh_cuda_state *state = call->worker->state;
    struct soft_callee *soft = soft_callee();
    if (!wh_callee_sees(state, sizeof(*state)))
        return false;
    soft->driver = (struct soft_driver *)(uintptr_t)gate->backend[1];
    soft->buckets = (struct soft_object **)(uintptr_t)gate->backend[2];
    soft->current = NULL;
    soft->now = 0;
    soft->view.sees = wh_callee_sees;
    soft->view.own = gate->room;
    soft->view.own_end = gate->room + sizeof(gate->room);
    soft->view.log = gate->log;
    soft->view.log_size = sizeof(gate->log);
    if (!wh_callee_sees(contexts, sizeof(*contexts)))
        return false;
    if (call->thread < contexts->room) {
        const uint32_t *place = &contexts->current[call->thread];
        if (!wh_callee_sees(place, sizeof(*place)))
            return false;
        if (*place && !find_context(call->worker->table, *place, &soft->current))
            return false;
    }
    if (!soft_callee_reaches_context())
        return false;
    state->calls++;
    return true;
}

/* ---- what the backend's files need of the rest of it ---- */

CUcontext wh_cuda_current(struct wh_call *call)
{
    (void)call;
    return (CUcontext)soft_callee()->current;
}

CUresult wh_cuda_fetch(struct wh_call *call, void *bytes, CUdeviceptr from, size_t size,
                       CUstream stream)
{
    (void)call; /* ordinary memory is as good here */
    CUresult result = cuMemcpyDtoHAsync_v2(bytes, from, size, stream);
    return result == CUDA_SUCCESS ? cuStreamSynchronize(stream) : result;
}

int wh_exchange_drop(const uint8_t token[WH_EXCHANGE_TOKEN])
{
    (void)token; /* nothing is offered: see free_memory */
    return 0;
}

/* Words are copied as other bytes are, and none is ever kept. */
bool wh_cuda_is_word(CUdeviceptr to, size_t size)
{
    (void)to, (void)size;
    return false;
}

CUresult wh_cuda_words_keep(struct wh_call *call, CUdeviceptr to, size_t size, const void *bytes,
                            CUstream stream)
{
    (void)call, (void)to, (void)size, (void)bytes, (void)stream;
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult wh_cuda_words_give(struct wh_cuda_state *state)
{
    (void)state; /* a quiet session has none */
    return CUDA_SUCCESS;
}

/* A quiet session captures nothing: these are never asked for. */
struct wh_cuda_item *wh_cuda_item_known(struct wh_call *call, enum wh_cuda_item_kind kind,
                                        const void *real)
{
    (void)call, (void)kind, (void)real;
    return NULL;
}

struct wh_cuda_item *wh_cuda_node_item(struct wh_call *call, CUgraphNode node,
                                       struct wh_cuda_item *graph)
{
    (void)call, (void)node, (void)graph;
    return NULL;
}

bool wh_cuda_graph_memory_add(struct wh_call *call, CUdeviceptr address, size_t size)
{
    (void)call, (void)address, (void)size;
    return false;
}

/* Those that the backend calls here. */
static const struct wh_cuda_functions_table functions = {
    .cuFuncGetName = cuFuncGetName,
    .cuFuncGetParamInfo = cuFuncGetParamInfo,
    .cuKernelGetFunction = cuKernelGetFunction,
    .cuKernelGetName = cuKernelGetName,
    .cuKernelGetParamInfo = cuKernelGetParamInfo,
    .cuLaunchKernel = cuLaunchKernel,
    .cuLibraryEnumerateKernels = cuLibraryEnumerateKernels,
    .cuLibraryGetGlobal = cuLibraryGetGlobal,
    .cuLibraryGetKernel = cuLibraryGetKernel,
    .cuLibraryGetModule = cuLibraryGetModule,
    .cuMemAllocAsync = cuMemAllocAsync,
    .cuMemAllocFromPoolAsync = cuMemAllocFromPoolAsync,
    .cuMemAllocPitch_v2 = cuMemAllocPitch_v2,
    .cuMemAlloc_v2 = cuMemAlloc_v2,
    .cuMemFreeAsync = cuMemFreeAsync,
    .cuMemFree_v2 = cuMemFree_v2,
    .cuMemGetAccess = cuMemGetAccess,
    .cuMemGetAllocationGranularity = cuMemGetAllocationGranularity,
    .cuMemGetDefaultMemPool = cuMemGetDefaultMemPool,
    .cuMemGetMemPool = cuMemGetMemPool,
    .cuMemHostGetDevicePointer_v2 = cuMemHostGetDevicePointer_v2,
    .cuMemHostRegister_v2 = cuMemHostRegister_v2,
    .cuMemHostUnregister = cuMemHostUnregister,
    .cuMemPoolGetAccess = cuMemPoolGetAccess,
    .cuMemPoolSetAttribute = cuMemPoolSetAttribute,
    .cuMemSetMemPool = cuMemSetMemPool,
    .cuMemcpy2DAsync_v2 = cuMemcpy2DAsync_v2,
    .cuMemcpy3DAsync_v2 = cuMemcpy3DAsync_v2,
    .cuMemcpyAsync = cuMemcpyAsync,
    .cuMemcpyDtoHAsync_v2 = cuMemcpyDtoHAsync_v2,
    .cuMemcpyHtoDAsync_v2 = cuMemcpyHtoDAsync_v2,
    .cuMemsetD2D16Async = cuMemsetD2D16Async,
    .cuMemsetD2D16_v2 = cuMemsetD2D16_v2,
    .cuMemsetD2D32Async = cuMemsetD2D32Async,
    .cuMemsetD2D32_v2 = cuMemsetD2D32_v2,
    .cuMemsetD2D8Async = cuMemsetD2D8Async,
    .cuMemsetD2D8_v2 = cuMemsetD2D8_v2,
    .cuModuleEnumerateFunctions = cuModuleEnumerateFunctions,
    .cuModuleGetFunction = cuModuleGetFunction,
    .cuModuleGetGlobal_v2 = cuModuleGetGlobal_v2,
    .cuOccupancyAvailableDynamicSMemPerBlock = cuOccupancyAvailableDynamicSMemPerBlock,
    .cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags =
        cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags,
    .cuOccupancyMaxActiveClusters = cuOccupancyMaxActiveClusters,
    .cuOccupancyMaxPotentialBlockSizeWithFlags = cuOccupancyMaxPotentialBlockSizeWithFlags,
    .cuOccupancyMaxPotentialClusterSize = cuOccupancyMaxPotentialClusterSize,
    .cuPointerGetAttribute = cuPointerGetAttribute,
    .cuPointerSetAttribute = cuPointerSetAttribute,
    .cuStreamBatchMemOp_v2 = cuStreamBatchMemOp_v2,
    .cuStreamGetAttribute = cuStreamGetAttribute,
    .cuStreamGetCaptureInfo_v3 = cuStreamGetCaptureInfo_v3,
    .cuStreamSetAttribute = cuStreamSetAttribute,
    .cuStreamSynchronize = cuStreamSynchronize,
    .cuSurfObjectCreate = cuSurfObjectCreate,
    .cuSurfObjectGetResourceDesc = cuSurfObjectGetResourceDesc,
    .cuTexObjectCreate = cuTexObjectCreate,
};

static bool reaches(struct wh_worker *worker, uint64_t address, uint64_t size)
{
    const struct wh_cuda_state *state = worker->state;
    struct wh_cuda_range range;
    return wh_callee_sees(state, sizeof(*state)) &&
           wh_cuda_ranges_seen(state->ranges, wh_callee_sees) &&
           wh_cuda_ranges_find(state->ranges, address, size, &range);
}

/* ---- the calls ---- */

#define ENTRY(call, function, may_be_posted) \
    [WH_CUDA_##call] = {wh_callee_##function, may_be_posted},
static const struct wh_callee_call calls[WH_CUDA_NCALLS] = {WH_CUDA_IN_VIEW(ENTRY)};

const struct wh_callee_backend wh_cuda_callee = {
    .backend = {.api = &wh_cuda_api, .functions = &functions, .reaches = reaches},
    .calls = calls,
    .begin = wh_view_enter,
    .enter = enter,
};
