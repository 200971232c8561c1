/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is allocated and freed in stream order, and the pools it comes from. The address is
 * needed at once, so that allocating waits for the worker; freeing does not.
 */
#include "shim/cuda/shim.h"

/* What a node of a graph allocates has its address as long as there is the graph. */
static CUresult remember(CUresult result, const CUdeviceptr *address, size_t size, CUstream stream)
{
    if (result != CUDA_SUCCESS || !*address)
        return result;
    if (wh_cuda_capturing() && wh_cuda_stream_captures(stream))
        wh_cuda_memory_add_graph(*address, size);
    else
        wh_cuda_memory_add(*address, size, WH_CUDA_POOLED);
    return result;
}

WH_EXPORT CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream)
{
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    return remember(wh_cuda_call_cuMemAllocAsync(address, size, stream), address, size, stream);
}

WH_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size, CUmemoryPool pool,
                                           CUstream stream)
{
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    return remember(wh_cuda_call_cuMemAllocFromPoolAsync(address, size, pool, stream), address,
                    size, stream);
}

/* The range goes first: behind the message, the same address may be another thread's. */
WH_EXPORT CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS || !address)
        return result;
    if (wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) && range.kind == WH_CUDA_OF_GRAPH)
        return wh_cuda_call_cuMemFreeAsync(address, stream);
    if (!wh_cuda_ranges_find(wh_cuda_memory(), address, 0, &range) || range.start != address ||
        (range.kind != WH_CUDA_POOLED && range.kind != WH_CUDA_DEVICE) ||
        !wh_cuda_ranges_take(wh_cuda_memory(), address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_cuMemFreeAsync(address, stream);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add(wh_cuda_memory(), &range);
    return result;
}

/* ---- pools ---- */

/* Bytes of an attribute's value; 0: no such attribute. */
static size_t attribute_size(CUmemPool_attribute attribute)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        return sizeof(int);
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        return sizeof(cuuint64_t);
    default:
        return 0;
    }
}

WH_EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute,
                                         void *value)
{
    uint64_t word = 0;
    size_t size = attribute_size(attribute);
    if (!value || !size)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_call_cuMemPoolGetAttribute(pool, attribute, &word);
    if (result == CUDA_SUCCESS)
        memcpy(value, &word, size);
    return result;
}

WH_EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute,
                                         void *value)
{
    uint64_t word = 0;
    size_t size = attribute_size(attribute);
    if (!value || !size)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&word, value, size);
    return wh_cuda_call_pool_set_attribute(pool, attribute, word);
}

WH_EXPORT CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool,
                                      CUmemLocation *location)
{
    if (!flags || !location)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_pool_get_access(pool, location, flags);
}

/* ---- the pools of a place ---- */

WH_EXPORT CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *location,
                                          CUmemAllocationType type)
{
    if (!pool || !location)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_pool_at(location, type, true, pool);
}

WH_EXPORT CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location,
                                   CUmemAllocationType type)
{
    if (!pool || !location)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_pool_at(location, type, false, pool);
}

WH_EXPORT CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type,
                                   CUmemoryPool pool)
{
    return location ? wh_cuda_call_pool_set_at(location, type, pool) : CUDA_ERROR_INVALID_VALUE;
}
