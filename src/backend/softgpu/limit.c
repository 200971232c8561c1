/* SPDX-License-Identifier: Apache-2.0 */
/* The limits and preferences of a context. */
#include "backend/softgpu/softgpu.h"

/* In the order of CUlimit; `most` 0: the value is kept as given. */
static const struct {
    size_t initial, least, most;
} limits[SOFT_LIMITS] = {
    [CU_LIMIT_STACK_SIZE] = {1024, 0, 512 * 1024},
    [CU_LIMIT_PRINTF_FIFO_SIZE] = {1 << 20, 1024, 0},
    [CU_LIMIT_MALLOC_HEAP_SIZE] = {8 << 20, 1024, 0},
    [CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = {2, 0, 24},
    [CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = {2048, 0, 0},
    [CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = {64, 0, 128},
    [CU_LIMIT_PERSISTING_L2_CACHE_SIZE] = {0, 0, 0},
    [CU_LIMIT_SHMEM_SIZE] = {0, 0, 0},
};

void soft_limits_reset(struct soft_context *context)
{
    for (int i = 0; i < SOFT_LIMITS; i++)
        atomic_store(&context->limits[i], limits[i].initial);
}

static bool known(CUlimit limit)
{
    return (unsigned)limit < CU_LIMIT_SHMEM_SIZE;
}

SOFT_API CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!known(limit))
        return (unsigned)limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
                                              : CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE || limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (limits[limit].most && value > limits[limit].most)
        return CUDA_ERROR_INVALID_VALUE;
    atomic_store(&context->limits[limit],
                 value < limits[limit].least ? limits[limit].least : value);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_CIG_ENABLED) { /* no graphics: libraries ask before each launch */
        *value = 0;
        return CUDA_SUCCESS;
    }
    if (!known(limit) || limit == CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH)
        return (unsigned)limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
                                              : CUDA_ERROR_INVALID_VALUE;
    *value = atomic_load(&context->limits[limit]);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxSetCacheConfig(CUfunc_cache preference)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)preference > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    atomic_store(&context->cache, (int)preference);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuCtxGetCacheConfig(CUfunc_cache *preference)
{
    struct soft_context *context;
    CUresult result = soft_needs(soft_enter(&context), preference);
    if (result == CUDA_SUCCESS)
        *preference = (CUfunc_cache)atomic_load(&context->cache);
    return result;
}

SOFT_API CUresult cuCtxSetSharedMemConfig(CUsharedconfig banks)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)banks > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS; /* the banks are four bytes wide, always */
}

SOFT_API CUresult cuCtxGetSharedMemConfig(CUsharedconfig *banks)
{
    struct soft_context *context;
    CUresult result = soft_needs(soft_enter(&context), banks);
    if (result == CUDA_SUCCESS)
        *banks = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    return result;
}

SOFT_API CUresult cuCtxResetPersistingL2Cache(void)
{
    struct soft_context *context;
    return soft_enter(&context);
}

/* ---- the profiler: there is none to start ---- */

SOFT_API CUresult cuProfilerStart(void)
{
    struct soft_context *context;
    return soft_enter(&context);
}

SOFT_API CUresult cuProfilerStop(void)
{
    struct soft_context *context;
    return soft_enter(&context);
}
