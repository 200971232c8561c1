/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First versions of functions whose later ones differ in nothing that matters here: old programs
 * still call them by their old names.
 */
#include "shim/cuda/shim.h"

WH_EXPORT CUresult cuCtxCreate(CUcontext *context, unsigned int flags, CUdevice device)
{
    return cuCtxCreate_v2(context, flags, device);
}

WH_EXPORT CUresult cuCtxDestroy(CUcontext context)
{
    return cuCtxDestroy_v2(context);
}

WH_EXPORT CUresult cuCtxPushCurrent(CUcontext context)
{
    return cuCtxPushCurrent_v2(context);
}

WH_EXPORT CUresult cuCtxPopCurrent(CUcontext *context)
{
    return cuCtxPopCurrent_v2(context);
}

WH_EXPORT CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

WH_EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    return cuDevicePrimaryCtxRelease_v2(device);
}

WH_EXPORT CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    return cuDevicePrimaryCtxReset_v2(device);
}

WH_EXPORT CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

WH_EXPORT CUresult cuEventDestroy(CUevent event)
{
    return cuEventDestroy_v2(event);
}

WH_EXPORT CUresult cuStreamDestroy(CUstream stream)
{
    return cuStreamDestroy_v2(stream);
}

WH_EXPORT CUresult cuMemHostRegister(void *address, size_t size, unsigned int flags)
{
    return cuMemHostRegister_v2(address, size, flags);
}

/* Removed from the API; profilers attach by other ways. */
WH_EXPORT CUresult cuProfilerInitialize(const char *configuration, const char *output,
                                        unsigned int mode)
{
    (void)configuration;
    (void)output;
    (void)mode;
    return CUDA_ERROR_NOT_SUPPORTED;
}
