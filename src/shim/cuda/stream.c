/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: what this process knows of them. */
#include "shim/cuda/observe.h"

CUresult wh_cuda_check_stream(CUstream stream)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if ((uintptr_t)stream <= (uintptr_t)CU_STREAM_PER_THREAD)
        return wh_cuda_current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    return wh_cuda_object(stream, WH_CUDA_TYPE_CUstream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The context that was current when the stream was made (wh_object.word, filled by cuStreamCreate's
 * wrapper below); NULL and special streams are those of the current one. */
static CUcontext context_of(CUstream stream)
{
    struct wh_object *object = wh_cuda_object(stream, WH_CUDA_TYPE_CUstream);
    return object ? (CUcontext)(uintptr_t)object->word : wh_cuda_current();
}

static CUresult made(CUresult result, CUstream *stream)
{
    if (result != CUDA_SUCCESS)
        return result;
    ((struct wh_object *)*stream)->word = (uintptr_t)wh_cuda_current();
    wh_cuda_observe_resource(WH_STREAM_BEGINS, wh_cuda_current(), *stream);
    return result;
}

WH_EXPORT CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    if (!stream)
        return CUDA_ERROR_INVALID_VALUE;
    return made(wh_cuda_call_cuStreamCreateWithPriority(stream, flags, priority), stream);
}

WH_EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    if (!stream)
        return CUDA_ERROR_INVALID_VALUE;
    return made(wh_cuda_call_cuStreamCreate(stream, flags), stream);
}

WH_EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext *context)
{
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = context_of(stream);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
    CUresult result = cuStreamGetCtx(stream, context);
    if (result == CUDA_SUCCESS && green)
        *green = NULL;
    return result;
}

WH_EXPORT CUresult cuStreamGetDevice(CUstream stream, CUdevice *device)
{
    CUresult result = wh_cuda_check_stream(stream);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_context *context = wh_cuda_context(context_of(stream));
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *device = context->device;
    return CUDA_SUCCESS;
}
