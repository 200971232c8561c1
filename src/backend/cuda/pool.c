/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory in stream order and pools. An allocation is in the session's map from here until the call
 * that frees it, whenever the stream comes to either.
 */
#include "backend/cuda/graph.h"

/* Enters a fresh allocation; if that fails, it is as if it had not been made. */
static CUresult enter(struct wh_call *call, CUresult result, CUdeviceptr *address, size_t size,
                      CUstream stream)
{
    struct wh_cuda_range range = {.size = size, .owner = wh_cuda_current(call)};
    if (result != CUDA_SUCCESS)
        return result;
    range.start = *address;
    struct wh_cuda_item *graph = wh_cuda_capture_graph(call, stream);
    if (graph) { /* it is a node that allocates */
        graph->fickle = true;
        return wh_cuda_graph_memory_add(call, *address, size) ? CUDA_SUCCESS
                                                              : CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (wh_cuda_ranges_add(wh_cuda_state(call)->ranges, &range))
        return CUDA_SUCCESS;
    wh_cuda_driver(call)->cuMemFreeAsync(*address, stream);
    *address = 0;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult wh_cuda_do_cuMemAllocAsync(struct wh_call *call, CUdeviceptr *address, size_t size,
                                    CUstream stream)
{
    if (!address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    return enter(call, wh_cuda_driver(call)->cuMemAllocAsync(address, size, stream), address, size,
                 stream);
}

CUresult wh_cuda_do_cuMemAllocFromPoolAsync(struct wh_call *call, CUdeviceptr *address, size_t size,
                                            CUmemoryPool pool, CUstream stream)
{
    if (!address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    if (!pool)
        return CUDA_ERROR_INVALID_HANDLE;
    return enter(call, wh_cuda_driver(call)->cuMemAllocFromPoolAsync(address, size, pool, stream),
                 address, size, stream);
}

CUresult wh_cuda_do_cuMemFreeAsync(struct wh_call *call, CUdeviceptr address, CUstream stream)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(state->ranges, address, 0, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (range.kind == WH_CUDA_RANGE_GRAPH)
        return f->cuMemFreeAsync(address, stream);
    if (range.start != address || range.kind != WH_CUDA_RANGE_DEVICE ||
        !wh_cuda_ranges_take(state->ranges, address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    wh_cuda_shares_forget(state, address);
    CUresult result = f->cuMemFreeAsync(address, stream);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add(state->ranges, &range);
    return result;
}

/* ---- pools ---- */

CUresult wh_cuda_do_cuMemPoolCreate(struct wh_call *call, CUmemoryPool *pool,
                                    const CUmemPoolProps *props)
{
    CUmemPoolProps own;
    if (!pool || !props)
        return CUDA_ERROR_INVALID_VALUE;
    if (props->handleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_NOT_SUPPORTED;
    own = *props;
    own.win32SecurityAttributes = NULL;
    return wh_cuda_driver(call)->cuMemPoolCreate(pool, &own);
}

CUresult wh_cuda_do_pool_set_attribute(struct wh_call *call, CUmemoryPool pool,
                                       CUmemPool_attribute attribute, uint64_t value)
{
    return wh_cuda_driver(call)->cuMemPoolSetAttribute(pool, attribute, &value);
}

CUresult wh_cuda_do_pool_get_access(struct wh_call *call, CUmemoryPool pool,
                                    const CUmemLocation *location, CUmemAccess_flags *flags)
{
    CUmemLocation where;
    if (!location || !flags)
        return CUDA_ERROR_INVALID_VALUE;
    where = *location;
    return wh_cuda_driver(call)->cuMemPoolGetAccess(flags, pool, &where);
}

CUresult wh_cuda_do_pool_at(struct wh_call *call, const CUmemLocation *location,
                            CUmemAllocationType type, int is_default, CUmemoryPool *pool)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUmemLocation where;
    if (!location || !pool)
        return CUDA_ERROR_INVALID_VALUE;
    where = *location;
    return is_default ? f->cuMemGetDefaultMemPool(pool, &where, type)
                      : f->cuMemGetMemPool(pool, &where, type);
}

CUresult wh_cuda_do_pool_set_at(struct wh_call *call, const CUmemLocation *location,
                                CUmemAllocationType type, CUmemoryPool pool)
{
    CUmemLocation where;
    if (!location)
        return CUDA_ERROR_INVALID_VALUE;
    where = *location;
    return wh_cuda_driver(call)->cuMemSetMemPool(&where, type, pool);
}
