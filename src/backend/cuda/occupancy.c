/* SPDX-License-Identifier: Apache-2.0 */
/* Occupancy of kernels, which the driver takes in a function's place, and of clusters. */
#include "backend/cuda/backend.h"

CUresult wh_cuda_do_kernel_occupancy(struct wh_call *call, int *blocks, CUkernel kernel,
                                     CUdevice device, int block_size, size_t shared, unsigned flags)
{
    (void)device; /* makes part of the question that the client remembers */
    if (!blocks || !kernel)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks, (CUfunction)kernel, block_size, shared, flags);
}

CUresult wh_cuda_do_kernel_free_shared(struct wh_call *call, size_t *size, CUkernel kernel,
                                       CUdevice device, int blocks, int block_size)
{
    (void)device;
    if (!size || !kernel)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuOccupancyAvailableDynamicSMemPerBlock(size, (CUfunction)kernel,
                                                                         blocks, block_size);
}

CUresult wh_cuda_do_block_size(struct wh_call *call, CUfunction function, CUkernel kernel,
                               size_t shared, int limit, unsigned flags, int *grid_size,
                               int *block_size)
{
    CUfunction code = function ? function : (CUfunction)kernel;
    if (!code || !grid_size || !block_size)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid_size, block_size, code, NULL, shared, limit, flags);
}

CUresult wh_cuda_do_cluster_occupancy(struct wh_call *call, CUfunction function, CUkernel kernel,
                                      int active, const CUlaunchConfig *config, unsigned n,
                                      const CUlaunchAttribute *attributes, int *value)
{
    const struct wh_cuda_functions_table *f = wh_cuda_driver(call);
    CUfunction code = function ? function : (CUfunction)kernel;
    if (!code || !config || !value || (n && !attributes))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++)
        if (!wh_cuda_attribute_is_plain(attributes[i].id))
            return CUDA_ERROR_INVALID_VALUE;
    CUlaunchConfig own = *config;
    /* The driver only reads them; its interface says so by words only. */
    own.attrs = (CUlaunchAttribute *)(uintptr_t)attributes;
    own.numAttrs = n;
    own.hStream = NULL;
    return active ? f->cuOccupancyMaxActiveClusters(value, code, &own)
                  : f->cuOccupancyMaxPotentialClusterSize(value, code, &own);
}
