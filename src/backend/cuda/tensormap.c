/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor maps, encoded by the driver. They name memory that kernels will read, not this process. */
#include "backend/cuda/backend.h"

#include <string.h>

#define MOST_RANK 5u

/* As the vendor declares the type. */
struct aligned {
    _Alignas(128) CUtensorMap map;
};

CUresult wh_cuda_do_tensor_tiled(struct wh_call *call, CUtensorMap *map, CUtensorMapDataType type,
                                 unsigned rank, CUdeviceptr address, const uint64_t *sizes,
                                 unsigned nstrides, const uint64_t *strides, const uint32_t *box,
                                 const uint32_t *steps, CUtensorMapInterleave interleave,
                                 CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                 CUtensorMapFloatOOBfill fill)
{
    struct aligned made;
    if (!map || !sizes || !box || !steps || rank == 0 || rank > MOST_RANK || nstrides != rank - 1 ||
        (nstrides && !strides))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuTensorMapEncodeTiled(
        &made.map, type, rank, (void *)(uintptr_t)address, sizes, strides, box, steps, interleave,
        swizzle, promotion, fill);
    if (result == CUDA_SUCCESS)
        memcpy(map, &made.map, sizeof(*map));
    return result;
}

CUresult wh_cuda_do_tensor_im2col(struct wh_call *call, CUtensorMap *map, CUtensorMapDataType type,
                                  unsigned rank, CUdeviceptr address, const uint64_t *sizes,
                                  unsigned nstrides, const uint64_t *strides, unsigned ncorners,
                                  const int *lower, const int *upper, unsigned channels,
                                  unsigned pixels, const uint32_t *steps,
                                  CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                  CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct aligned made;
    if (!map || !sizes || !strides || !lower || !upper || !steps || rank < 3 || rank > MOST_RANK ||
        nstrides != rank - 1 || ncorners != rank - 2)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = wh_cuda_driver(call)->cuTensorMapEncodeIm2col(
        &made.map, type, rank, (void *)(uintptr_t)address, sizes, strides, lower, upper, channels,
        pixels, steps, interleave, swizzle, promotion, fill);
    if (result == CUDA_SUCCESS)
        memcpy(map, &made.map, sizeof(*map));
    return result;
}

CUresult wh_cuda_do_tensor_replace(struct wh_call *call, const CUtensorMap *from,
                                   CUdeviceptr address, CUtensorMap *to)
{
    struct aligned made;
    if (!from || !to)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&made.map, from, sizeof(*from));
    CUresult result =
        wh_cuda_driver(call)->cuTensorMapReplaceAddress(&made.map, (void *)(uintptr_t)address);
    if (result == CUDA_SUCCESS)
        memcpy(to, &made.map, sizeof(*to));
    return result;
}
