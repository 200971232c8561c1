/* SPDX-License-Identifier: Apache-2.0 */
/* Access between devices: all memory is one process's, so every device can reach every other's. */
#include "backend/softgpu/softgpu.h"

static CUresult find_pair(CUdevice first, CUdevice second)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    return soft_device_get(first) && soft_device_get(second) ? CUDA_SUCCESS
                                                             : CUDA_ERROR_INVALID_DEVICE;
}

SOFT_API CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    CUresult result = soft_needs(find_pair(device, peer), can);
    if (result == CUDA_SUCCESS)
        *can = device != peer;
    return result;
}

SOFT_API CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute,
                                          CUdevice from, CUdevice to)
{
    CUresult result = find_pair(from, to);
    if (result != CUDA_SUCCESS)
        return result;
    if (from == to)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)attribute) {
    case CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK:
        *value = 0;
        return CUDA_SUCCESS;
    case CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED:
    case CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED:
        *value = 1;
        return CUDA_SUCCESS;
    case CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED:
        *value = 0;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult change(CUcontext peer_handle, bool enable)
{
    struct soft_context *context;
    SOFT_HOLD struct soft_context *peer = NULL;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!peer_handle)
        return CUDA_ERROR_INVALID_CONTEXT;
    result = soft_enter_context(peer_handle, &peer);
    if (result != CUDA_SUCCESS)
        return result;
    if (peer->device == context->device)
        return enable ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    unsigned bit = 1u << peer->device->ordinal;
    unsigned before =
        enable ? atomic_fetch_or(&context->peers, bit) : atomic_fetch_and(&context->peers, ~bit);
    if (enable)
        return before & bit ? CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED : CUDA_SUCCESS;
    return before & bit ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

SOFT_API CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : change(peer, true);
}

SOFT_API CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
    return change(peer, false);
}
