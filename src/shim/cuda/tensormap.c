/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensor maps: the driver encodes them, and how long their lists are depends on the rank in ways
 * that the description cannot say.
 */
#include "shim/cuda/shim.h"

#define MOST_RANK 5u

/* Lists that the driver wants in any case. */
static CUresult check(const void *map, unsigned rank, const void *sizes, const void *strides,
                      const void *steps)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!map || (uintptr_t)map % 64 || rank == 0 || rank > MOST_RANK || !sizes || !steps ||
        (rank > 1 && !strides))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, unsigned rank,
                                          void *address, const cuuint64_t *sizes,
                                          const cuuint64_t *strides, const cuuint32_t *box,
                                          const cuuint32_t *steps, CUtensorMapInterleave interleave,
                                          CUtensorMapSwizzle swizzle,
                                          CUtensorMapL2promotion promotion,
                                          CUtensorMapFloatOOBfill fill)
{
    CUresult result = check(map, rank, sizes, strides, steps);
    if (result == CUDA_SUCCESS && !box)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return wh_cuda_call_tensor_tiled(map, type, rank, (CUdeviceptr)(uintptr_t)address, sizes,
                                     rank - 1, rank > 1 ? strides : NULL, box, steps, interleave,
                                     swizzle, promotion, fill);
}

WH_EXPORT CUresult cuTensorMapEncodeIm2col(
    CUtensorMap *map, CUtensorMapDataType type, unsigned rank, void *address,
    const cuuint64_t *sizes, const cuuint64_t *strides, const int *lower, const int *upper,
    cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
    CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill)
{
    CUresult result = check(map, rank, sizes, strides, steps);
    if (result == CUDA_SUCCESS && (rank < 3 || !lower || !upper))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return wh_cuda_call_tensor_im2col(map, type, rank, (CUdeviceptr)(uintptr_t)address, sizes,
                                      rank - 1, strides, rank - 2, lower, upper, channels, pixels,
                                      steps, interleave, swizzle, promotion, fill);
}

WH_EXPORT CUresult cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!map || (uintptr_t)map % 64)
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_call_tensor_replace(map, (CUdeviceptr)(uintptr_t)address, map);
}
