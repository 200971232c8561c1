/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver knows of a pointer. */
#include "backend/softgpu/memory.h"

#include <string.h>

union value {
    CUcontext context;
    CUmemorytype type;
    CUdeviceptr device;
    void *host;
    int number;
    unsigned word;
    unsigned long long wide;
    CUmemoryPool pool;
    unsigned char flag; /* the API's booleans that are one byte */
};

/* One attribute of an address in a known range: its value and size; 0: there is no such attribute
 * or it makes no sense for this memory. */
static size_t read_attribute(const struct soft_range *range, uint64_t address, int attribute,
                             union value *value)
{
    bool host = soft_range_on_host(range);
    *value = (union value){0};
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        value->context = range->kind == SOFT_MEMORY_POOL ? NULL : (CUcontext)range->context;
        return sizeof(value->context);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        value->type = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return sizeof(value->type);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        value->device =
            attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER ? address : range->extent.start;
        return sizeof(value->device);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        value->host = (void *)(uintptr_t)address;
        return host || range->kind == SOFT_MEMORY_MANAGED ? sizeof(value->host) : 0;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        value->word = range->sync_copies;
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        value->wide = range->id;
        return sizeof(value->wide);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        value->word = range->kind == SOFT_MEMORY_MANAGED;
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        value->number = range->device->ordinal;
        return sizeof(value->number);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        value->wide = range->size;
        return sizeof(value->wide);
    case CU_POINTER_ATTRIBUTE_MAPPED:
        value->word = 1;
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
        value->word = range->kind == SOFT_MEMORY_DEVICE;
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        return sizeof(value->wide);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        value->word = CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE;
        return sizeof(value->word);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        value->pool = (CUmemoryPool)range->pool;
        return sizeof(value->pool);
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return sizeof(value->flag);
    default:
        return 0;
    }
}

SOFT_API CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute,
                                        CUdeviceptr pointer)
{
    struct soft_range range;
    union value value;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!data || !soft_range_find(pointer, &range))
        return CUDA_ERROR_INVALID_VALUE;
    size_t size = read_attribute(&range, pointer, (int)attribute, &value);
    if (size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(data, &value, size);
    return CUDA_SUCCESS;
}

/* Of memory that the driver does not know all attributes are zero, but the ordinal and that the
 * host can use it. */
static size_t read_unknown(uint64_t address, int attribute, union value *value)
{
    const struct soft_range none = {.kind = SOFT_MEMORY_HOST, .device = &soft_driver()->devices[0]};
    size_t size = read_attribute(&none, 0, attribute, value);
    *value = (union value){0};
    if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
        value->number = -2;
    if (attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER)
        value->host = (void *)(uintptr_t)address;
    return size;
}

SOFT_API CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes,
                                         void **data, CUdeviceptr pointer)
{
    struct soft_range range;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (count == 0 || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    bool known = soft_range_find(pointer, &range);
    for (unsigned i = 0; i < count; i++) {
        union value value, zero;
        size_t size = read_unknown(pointer, (int)attributes[i], &zero);
        if (size == 0)
            return CUDA_ERROR_INVALID_VALUE;
        if (!known)
            value = zero;
        else if (read_attribute(&range, pointer, (int)attributes[i], &value) == 0)
            value = (union value){0};
        if (data[i])
            memcpy(data[i], &value, size);
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute,
                                        CUdeviceptr pointer)
{
    unsigned word;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&word, value, sizeof(word));
    return soft_range_set_sync_copies(pointer, word != 0) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
