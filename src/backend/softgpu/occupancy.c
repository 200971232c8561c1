/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The occupancy calls: what a multiprocessor with the limits of the attribute table holds at once.
 * The device itself runs blocks as cores allow; the figures bound cooperative launches.
 */
#include "backend/softgpu/library.h"

#include "base/util.h"

#define SOFT_THREAD_REGISTERS 255u /* what one thread can have */
#define REGISTER_UNIT         256  /* registers are given to warps in these */
#define SHARED_UNIT           128

static size_t most_shared(const struct soft_function *function)
{
    return function->info.shared + (size_t)atomic_load(&function->settings.dynamic_shared);
}

/* The engine's registers are as many as the code names; a compiler would have spilled until the
 * largest block that the kernel allows fits. */
unsigned soft_registers(const struct wh_soft_kernel_info *info)
{
    unsigned threads = info->max_threads ? info->max_threads : SOFT_BLOCK_THREADS;
    unsigned warps = (threads + SOFT_WARP - 1) / SOFT_WARP;
    unsigned most = SOFT_SM_REGISTERS / (warps * SOFT_WARP) / 8 * 8;
    most = most < SOFT_THREAD_REGISTERS ? most : SOFT_THREAD_REGISTERS;
    return info->registers < most ? info->registers : most;
}

unsigned soft_resident_blocks(const struct soft_function *function, unsigned threads,
                              size_t dynamic_shared)
{
    const struct wh_soft_kernel_info *info = &function->info;
    if (threads == 0 || threads > SOFT_BLOCK_THREADS || dynamic_shared > SOFT_BLOCK_OPTIN ||
        info->shared + dynamic_shared > most_shared(function))
        return 0;
    unsigned warps = (threads + SOFT_WARP - 1) / SOFT_WARP;
    unsigned blocks = SOFT_SM_THREADS / (warps * SOFT_WARP);
    size_t shared = wh_round_up(info->shared + dynamic_shared, SHARED_UNIT) + SOFT_BLOCK_RESERVED;
    if (blocks > SOFT_SM_SHARED / shared)
        blocks = (unsigned)(SOFT_SM_SHARED / shared);
    uint64_t registers =
        warps * wh_round_up((uint64_t)soft_registers(info) * SOFT_WARP, REGISTER_UNIT);
    if (registers && blocks > SOFT_SM_REGISTERS / registers)
        blocks = (unsigned)(SOFT_SM_REGISTERS / registers);
    return blocks < SOFT_SM_BLOCKS ? blocks : SOFT_SM_BLOCKS;
}

SOFT_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction handle, int threads, size_t dynamic_shared, unsigned flags)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_launchable_find(handle, &function);
    if (result != CUDA_SUCCESS)
        return result;
    if (!blocks || threads <= 0 || (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        return CUDA_ERROR_INVALID_VALUE;
    *blocks = (int)soft_resident_blocks(function, (unsigned)threads, dynamic_shared);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function,
                                                              int threads, size_t dynamic_shared)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads,
                                                                dynamic_shared, 0);
}

/* The block size with the most threads resident; of equals the largest. */
SOFT_API CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block,
                                                            CUfunction handle,
                                                            CUoccupancyB2DSize shared_of,
                                                            size_t dynamic_shared, int limit,
                                                            unsigned flags)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_launchable_find(handle, &function);
    if (result != CUDA_SUCCESS)
        return result;
    if (!grid || !block || limit < 0 || (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        return CUDA_ERROR_INVALID_VALUE;
    unsigned most = function->info.max_threads, best = 0;
    if (limit && (unsigned)limit < most)
        most = (unsigned)limit;
    *grid = *block = 0;
    for (unsigned size = most; size > 0; size = (size - 1) / SOFT_WARP * SOFT_WARP) {
        size_t shared = shared_of ? shared_of((int)size) : dynamic_shared;
        unsigned blocks = soft_resident_blocks(function, size, shared);
        if (blocks * size <= best)
            continue;
        best = blocks * size;
        *block = (int)size;
        *grid = (int)blocks * soft_driver()->multiprocessors;
    }
    return best ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function,
                                                   CUoccupancyB2DSize shared_of,
                                                   size_t dynamic_shared, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, shared_of,
                                                     dynamic_shared, limit, 0);
}

SOFT_API CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *size, CUfunction handle,
                                                          int blocks, int threads)
{
    SOFT_HOLD struct soft_function *function;
    CUresult result = soft_launchable_find(handle, &function);
    if (result != CUDA_SUCCESS)
        return result;
    if (!size || blocks <= 0 || threads <= 0 ||
        soft_resident_blocks(function, (unsigned)threads, 0) < (unsigned)blocks)
        return CUDA_ERROR_INVALID_VALUE;
    size_t each = SOFT_SM_SHARED / (size_t)blocks / SHARED_UNIT * SHARED_UNIT - SOFT_BLOCK_RESERVED;
    if (each > most_shared(function))
        each = most_shared(function);
    *size = each > function->info.shared ? each - function->info.shared : 0;
    return CUDA_SUCCESS;
}

/* A function and the shape that a configuration asks for. */
static CUresult read_config(CUfunction handle, const CUlaunchConfig *config,
                            struct soft_function **function, struct soft_shape *shape)
{
    CUresult result = soft_needs(soft_launchable_find(handle, function), config);
    return result == CUDA_SUCCESS ? soft_shape_read(config, shape) : result;
}

static unsigned resident(const struct soft_function *function, const struct soft_shape *shape)
{
    uint64_t threads = (uint64_t)shape->block[0] * shape->block[1] * shape->block[2];
    if (threads > SOFT_BLOCK_THREADS)
        return 0;
    return soft_resident_blocks(function, (unsigned)threads, shape->shared);
}

SOFT_API CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction handle,
                                                     const CUlaunchConfig *config)
{
    SOFT_HOLD struct soft_function *function;
    struct soft_shape shape;
    CUresult result = soft_needs(read_config(handle, config, &function, &shape), size);
    if (result != CUDA_SUCCESS)
        return result;
    bool more = atomic_load(&function->settings.non_portable_cluster);
    *size = !resident(function, &shape) ? 0 : more ? SOFT_CLUSTER_MOST : SOFT_CLUSTER_BLOCKS;
    return CUDA_SUCCESS;
}

/* What the function may ask for, and no device has: not an error, as in NVIDIA's driver. */
static bool is_beyond(const struct soft_function *function, const struct soft_shape *shape)
{
    uint64_t blocks = (uint64_t)shape->cluster[0] * shape->cluster[1] * shape->cluster[2];
    return atomic_load(&function->settings.non_portable_cluster) && blocks > SOFT_CLUSTER_MOST;
}

/* A cluster's blocks need not be on one multiprocessor; one cluster can always be run. */
SOFT_API CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction handle,
                                               const CUlaunchConfig *config)
{
    SOFT_HOLD struct soft_function *function;
    struct soft_shape shape;
    CUresult result = soft_needs(read_config(handle, config, &function, &shape), clusters);
    if (result == CUDA_SUCCESS && is_beyond(function, &shape)) {
        *clusters = 0;
        return CUDA_SUCCESS;
    }
    if (result == CUDA_SUCCESS)
        result = soft_shape_cluster(function, &shape);
    if (result != CUDA_SUCCESS)
        return result;
    unsigned size = shape.cluster[0] * shape.cluster[1] * shape.cluster[2];
    unsigned blocks = resident(function, &shape) * (unsigned)soft_driver()->multiprocessors;
    *clusters = blocks == 0 ? 0 : blocks < size ? 1 : (int)(blocks / size);
    return CUDA_SUCCESS;
}
