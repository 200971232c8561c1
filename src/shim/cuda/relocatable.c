/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of separately compiled device code (nvcc -rdc=true). nvcc links what machine code there
 * is; where the device is none of those it links for, the driver links the parts, which hold PTX,
 * when the program loads them. So does this, with the linker calls. Called by module.c.
 */
#include "shim/cuda/code.h"
#include "shim/cuda/image.h"

#include <stdlib.h>

static CUresult add_parts(CUlinkState state, const void *wrapper)
{
    const void *part;
    size_t size;
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; result == CUDA_SUCCESS && wh_cuda_image_part(wrapper, i, &part, &size); i++)
        result = cuLinkAddData_v2(state, CU_JIT_INPUT_FATBINARY, (void *)(uintptr_t)part, size,
                                  NULL, 0, NULL, NULL);
    return result;
}

bool wh_cuda_has_parts(const void *wrapper, CUresult loaded)
{
    const void *part;
    size_t size;
    return (loaded == CUDA_ERROR_NO_BINARY_FOR_GPU || loaded == CUDA_ERROR_INVALID_IMAGE) &&
           wh_cuda_image_part(wrapper, 0, &part, &size);
}

static CUresult link_parts(const void *wrapper, void **image, size_t *size)
{
    CUlinkState state;
    void *linked;
    CUresult result = cuLinkCreate_v2(0, NULL, NULL, &state);
    if (result != CUDA_SUCCESS)
        return result;
    result = add_parts(state, wrapper);
    if (result == CUDA_SUCCESS)
        result = cuLinkComplete(state, &linked, size);
    if (result == CUDA_SUCCESS && !(*image = malloc(*size)))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        memcpy(*image, linked, *size);
    cuLinkDestroy(state);
    return result;
}

/* Libraries are loaded before there is a context, which a linker must have. */
CUresult wh_cuda_link_parts(const void *wrapper, void **image, size_t *size)
{
    CUcontext context;
    if (wh_cuda_current())
        return link_parts(wrapper, image, size);
    CUresult result = cuDevicePrimaryCtxRetain(&context, 0);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuCtxPushCurrent_v2(context);
    if (result == CUDA_SUCCESS) {
        result = link_parts(wrapper, image, size);
        cuCtxPopCurrent_v2(&context);
    }
    cuDevicePrimaryCtxRelease_v2(0);
    return result;
}
