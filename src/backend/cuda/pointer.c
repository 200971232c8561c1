/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the driver knows of an address. Attributes that are addresses or handles of this
 * process are not among it. That the address is the session's has been checked.
 */
#include "backend/cuda/backend.h"

CUresult wh_cuda_do_pointer_attribute(struct wh_call *call, CUpointer_attribute attribute,
                                      CUdeviceptr address, uint64_t *value)
{
    uint64_t got[2] = {0};
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = wh_cuda_driver(call)->cuPointerGetAttribute(got, attribute, address);
    if (result == CUDA_SUCCESS && value)
        *value = got[0];
    return result;
}

CUresult wh_cuda_do_pointer_pool(struct wh_call *call, CUdeviceptr address, CUmemoryPool *pool)
{
    CUmemoryPool found = NULL;
    CUresult result = wh_cuda_driver(call)->cuPointerGetAttribute(
        &found, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address);
    if (result == CUDA_SUCCESS && pool)
        *pool = found;
    return result;
}

CUresult wh_cuda_do_pointer_sync_memops(struct wh_call *call, CUdeviceptr address, unsigned value)
{
    return wh_cuda_driver(call)->cuPointerSetAttribute(&value, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS,
                                                       address);
}
