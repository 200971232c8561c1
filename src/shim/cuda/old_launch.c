/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches as they were before cuLaunchKernel: a function's block, shared memory and parameters are
 * set one after the other, kept with the function, and are there for any number of launches.
 */
#include "shim/cuda/code.h"

#include <stdlib.h>

#define MOST_PARAMS 4096u /* bytes; as much as there was room for when these were new */

struct wh_cuda_old_launch {
    unsigned block[3], shared;
    size_t size;
    uint8_t params[MOST_PARAMS];
};

/* The function's state, made on first use, with the lock of its code held; NULL and an error. */
static struct wh_cuda_old_launch *enter(CUfunction function, struct wh_cuda_code **code,
                                        CUresult *result)
{
    *result = wh_cuda_ready();
    if (*result != CUDA_SUCCESS)
        return NULL;
    struct wh_object *object = wh_cuda_object(function, WH_CUDA_TYPE_CUfunction);
    *result = object ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_HANDLE;
    *code = object ? wh_cuda_code_of(object) : NULL;
    if (!*code)
        return NULL;
    pthread_mutex_lock(&(*code)->lock);
    if (!(*code)->old)
        (*code)->old = calloc(1, sizeof(*(*code)->old));
    if ((*code)->old)
        *result = CUDA_SUCCESS;
    else
        pthread_mutex_unlock(&(*code)->lock);
    return (*code)->old;
}

WH_EXPORT CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z)
{
    struct wh_cuda_code *code;
    CUresult result;
    if (x <= 0 || y <= 0 || z <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_old_launch *old = enter(function, &code, &result);
    if (!old)
        return result;
    old->block[0] = (unsigned)x;
    old->block[1] = (unsigned)y;
    old->block[2] = (unsigned)z;
    pthread_mutex_unlock(&code->lock);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuFuncSetSharedSize(CUfunction function, unsigned int bytes)
{
    struct wh_cuda_code *code;
    CUresult result;
    struct wh_cuda_old_launch *old = enter(function, &code, &result);
    if (!old)
        return result;
    old->shared = bytes;
    pthread_mutex_unlock(&code->lock);
    return CUDA_SUCCESS;
}

/* ---- parameters ---- */

WH_EXPORT CUresult cuParamSetSize(CUfunction function, unsigned int bytes)
{
    struct wh_cuda_code *code;
    CUresult result;
    if (bytes > MOST_PARAMS)
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_old_launch *old = enter(function, &code, &result);
    if (!old)
        return result;
    old->size = bytes;
    pthread_mutex_unlock(&code->lock);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuParamSetv(CUfunction function, int offset, void *bytes, unsigned int n)
{
    struct wh_cuda_code *code;
    CUresult result;
    if (offset < 0 || (unsigned)offset > MOST_PARAMS || n > MOST_PARAMS - (unsigned)offset ||
        (n && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_cuda_old_launch *old = enter(function, &code, &result);
    if (!old)
        return result;
    if (n)
        memcpy(old->params + offset, bytes, n);
    pthread_mutex_unlock(&code->lock);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuParamSeti(CUfunction function, int offset, unsigned int value)
{
    return cuParamSetv(function, offset, &value, sizeof(value));
}

WH_EXPORT CUresult cuParamSetf(CUfunction function, int offset, float value)
{
    return cuParamSetv(function, offset, &value, sizeof(value));
}

/* ---- launches ---- */

WH_EXPORT CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream)
{
    struct wh_cuda_old_launch now;
    struct wh_cuda_code *code;
    CUresult result;
    if (width <= 0 || height <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    const struct wh_cuda_old_launch *old = enter(function, &code, &result);
    if (!old)
        return result;
    now = *old;
    pthread_mutex_unlock(&code->lock);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, now.params, CU_LAUNCH_PARAM_BUFFER_SIZE,
                     &now.size, CU_LAUNCH_PARAM_END};
    return cuLaunchKernel(function, (unsigned)width, (unsigned)height, 1, now.block[0],
                          now.block[1], now.block[2], now.shared, stream, NULL,
                          now.size ? extra : NULL);
}

WH_EXPORT CUresult cuLaunchGrid(CUfunction function, int width, int height)
{
    return cuLaunchGridAsync(function, width, height, NULL);
}

WH_EXPORT CUresult cuLaunch(CUfunction function)
{
    return cuLaunchGridAsync(function, 1, 1, NULL);
}
