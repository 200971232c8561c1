/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of an address: whose it is, where, and how large. Nearly all of it is known here;
 * the worker is asked for what only its driver knows. Managed memory is host memory that the device
 * reaches, so advice about it is kept and has no effect.
 */
#include "shim/cuda/pointer.h"

#include "shim/cuda/virtual.h"

#include <stdlib.h>

static CUresult find(CUdeviceptr address, struct wh_cuda_range *range)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    return wh_cuda_ranges_find(wh_cuda_memory(), address, 0, range) ? CUDA_SUCCESS
                                                                    : CUDA_ERROR_INVALID_VALUE;
}

/* ---- pointer attributes ---- */

static bool is_host(const struct wh_cuda_range *range)
{
    return range->kind == WH_CUDA_HOST || range->kind == WH_CUDA_REGISTERED;
}

static int device_of(const struct wh_cuda_range *range)
{
    if (range->kind == WH_CUDA_MAPPED)
        return wh_cuda_chunk_device(range);
    const struct wh_cuda_context *context =
        wh_cuda_context(range->owner ? (CUcontext)range->owner : wh_cuda_current());
    return context ? context->device : 0;
}

/* Bytes of an attribute's value; 0: no such attribute. */
static size_t attribute_size(CUpointer_attribute attribute)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        return 8;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return 4;
    default:
        return 0;
    }
}

static CUresult pool_of(const struct wh_cuda_range *range, uint64_t *value)
{
    CUmemoryPool pool = NULL;
    CUresult result = CUDA_SUCCESS;
    if (range->kind == WH_CUDA_POOLED)
        result = wh_cuda_call_pointer_pool(range->start, &pool);
    *value = (uintptr_t)pool;
    return result;
}

/* The value as the word whose first bytes it is. */
static CUresult get(CUpointer_attribute attribute, CUdeviceptr address,
                    const struct wh_cuda_range *range, uint64_t *value)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: /* pools and what is mapped belong to none */
        *value = range->kind == WH_CUDA_POOLED ? 0 : (uintptr_t)range->owner;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *value = is_host(range) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        *value = address;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        *value = is_host(range) || range->kind == WH_CUDA_MANAGED ? address : 0;
        return *value ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        *value = range->kind == WH_CUDA_MANAGED;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *value = (unsigned)device_of(range);
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        *value = range->start;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        *value = range->size;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        *value = 1;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        return pool_of(range, value);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        *value = range->kind == WH_CUDA_MAPPED ? wh_cuda_chunk_handle_types(range) : 0;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
        *value = range->kind == WH_CUDA_DEVICE;
        return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        *value = 0;
        return CUDA_SUCCESS;
    default:
        return wh_cuda_call_pointer_attribute(attribute, address, value);
    }
}

WH_EXPORT CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute,
                                         CUdeviceptr address)
{
    struct wh_cuda_range range;
    uint64_t value = 0;
    size_t size = attribute_size(attribute);
    CUresult result = find(address, &range);
    if (result == CUDA_SUCCESS && (!data || !size))
        result = attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS ? CUDA_ERROR_NOT_SUPPORTED
                                                              : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = get(attribute, address, &range, &value);
    if (result == CUDA_SUCCESS)
        memcpy(data, &value, size);
    return result;
}

/* About memory that the API does not know, nothing is said but that; two attributes stay as they
 * are. */
static void get_unknown(CUpointer_attribute attribute, CUdeviceptr address, void *data)
{
    uint64_t value = 0;
    if (attribute == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR ||
        attribute == CU_POINTER_ATTRIBUTE_RANGE_SIZE)
        return;
    if (attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER)
        value = address;
    if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
        value = (uint32_t)CU_DEVICE_INVALID;
    memcpy(data, &value, attribute_size(attribute));
}

WH_EXPORT CUresult cuPointerGetAttributes(unsigned n, CUpointer_attribute *attributes, void **data,
                                          CUdeviceptr address)
{
    struct wh_cuda_range range;
    CUresult result = find(address, &range);
    bool known = result == CUDA_SUCCESS;
    if (!known && result != CUDA_ERROR_INVALID_VALUE)
        return result;
    if (!n || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++)
        if (!attribute_size(attributes[i]) || !data[i])
            return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        uint64_t value = 0;
        if (!known) {
            get_unknown(attributes[i], address, data[i]);
            continue;
        }
        result = get(attributes[i], address, &range, &value);
        if (result != CUDA_SUCCESS) /* what does not apply is 0 */
            value = 0;
        memcpy(data[i], &value, attribute_size(attributes[i]));
    }
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute,
                                         CUdeviceptr address)
{
    struct wh_cuda_range range;
    unsigned word;
    CUresult result = find(address, &range);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&word, value, sizeof(word));
    return wh_cuda_call_pointer_sync_memops(address, word);
}

WH_EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address)
{
    struct wh_cuda_range range;
    CUresult result = find(address, &range);
    if (result == CUDA_SUCCESS && base)
        *base = range.start;
    if (result == CUDA_SUCCESS && size)
        *size = range.size;
    return result == CUDA_ERROR_INVALID_VALUE ? CUDA_ERROR_NOT_FOUND : result;
}

/* ---- advice about managed memory ---- */

/* What the program said about one allocation. */
struct advice {
    struct advice *next;
    CUdeviceptr start;
    CUmemLocation preferred, prefetched;
    bool read_mostly;
    uint64_t accessed_by; /* by device */
};

#define NOWHERE ((CUmemLocation){.type = CU_MEM_LOCATION_TYPE_INVALID, .id = CU_DEVICE_INVALID})

static struct advice *advices;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct advice *advice_about(CUdeviceptr start)
{
    struct advice *advice = advices;
    while (advice && advice->start != start)
        advice = advice->next;
    return advice;
}

static struct advice *make_advice(CUdeviceptr start)
{
    struct advice *advice = advice_about(start);
    if (advice || !(advice = malloc(sizeof(*advice))))
        return advice;
    *advice = (struct advice){
        .next = advices, .start = start, .preferred = NOWHERE, .prefetched = NOWHERE};
    advices = advice;
    return advice;
}

void wh_cuda_forget_advice(CUdeviceptr start)
{
    pthread_mutex_lock(&lock);
    struct advice **link = &advices;
    while (*link && (*link)->start != start)
        link = &(*link)->next;
    struct advice *advice = *link;
    if (advice)
        *link = advice->next;
    pthread_mutex_unlock(&lock);
    free(advice);
}

static CUresult find_managed(CUdeviceptr address, size_t size, struct wh_cuda_range *range)
{
    CUresult ready = wh_cuda_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    bool found = size && wh_cuda_ranges_find(wh_cuda_memory(), address, size, range);
    return found && range->kind == WH_CUDA_MANAGED ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult check_location(CUmemLocation *where)
{
    int count = 0;
    if (where->type == CU_MEM_LOCATION_TYPE_HOST || where->type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
        where->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT) {
        if (where->type == CU_MEM_LOCATION_TYPE_HOST)
            where->id = CU_DEVICE_CPU;
        return CUDA_SUCCESS;
    }
    if (where->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuDeviceGetCount(&count);
    if (result != CUDA_SUCCESS)
        return result;
    return where->id >= 0 && where->id < count && where->id < 64 ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult take_advice(struct advice *advice, CUmem_advise what, CUmemLocation where)
{
    uint64_t device = where.type == CU_MEM_LOCATION_TYPE_DEVICE ? 1ull << where.id : 0;
    switch (what) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
        advice->read_mostly = what == CU_MEM_ADVISE_SET_READ_MOSTLY;
        return CUDA_SUCCESS;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
        advice->preferred = where;
        return CUDA_SUCCESS;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        advice->preferred = NOWHERE;
        return CUDA_SUCCESS;
    case CU_MEM_ADVISE_SET_ACCESSED_BY:
        advice->accessed_by |= device;
        return CUDA_SUCCESS;
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
        advice->accessed_by &= ~device;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

WH_EXPORT CUresult cuMemAdvise_v2(CUdeviceptr address, size_t size, CUmem_advise what,
                                  CUmemLocation where)
{
    struct wh_cuda_range range;
    bool anywhere = what == CU_MEM_ADVISE_SET_READ_MOSTLY ||
                    what == CU_MEM_ADVISE_UNSET_READ_MOSTLY ||
                    what == CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION;
    CUresult result = find_managed(address, size, &range);
    if (result == CUDA_SUCCESS && !anywhere)
        result = check_location(&where);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    struct advice *advice = make_advice(range.start);
    result = advice ? take_advice(advice, what, where) : CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_unlock(&lock);
    return result;
}

static CUmemLocation location_of(CUdevice device)
{
    return (CUmemLocation){.type = device == CU_DEVICE_CPU ? CU_MEM_LOCATION_TYPE_HOST
                                                           : CU_MEM_LOCATION_TYPE_DEVICE,
                           .id = device};
}

WH_EXPORT CUresult cuMemAdvise(CUdeviceptr address, size_t size, CUmem_advise what, CUdevice device)
{
    return cuMemAdvise_v2(address, size, what, location_of(device));
}

WH_EXPORT CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t size, CUmemLocation where,
                                         unsigned flags, CUstream stream)
{
    struct wh_cuda_range range;
    CUresult result = find_managed(address, size, &range);
    (void)stream; /* nothing moves, whenever that is */
    if (result == CUDA_SUCCESS)
        result = flags ? CUDA_ERROR_INVALID_VALUE : check_location(&where);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    struct advice *advice = make_advice(range.start);
    if (advice)
        advice->prefetched = where;
    pthread_mutex_unlock(&lock);
    return advice ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

WH_EXPORT CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t size, CUdevice device,
                                      CUstream stream)
{
    return cuMemPrefetchAsync_v2(address, size, location_of(device), 0, stream);
}

/* Managed memory is everybody's here, whatever stream it is attached to. */
WH_EXPORT CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t size,
                                          unsigned flags)
{
    struct wh_cuda_range range;
    CUresult result = find_managed(address, size ? size : 1, &range);
    bool one = flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST ||
               flags == CU_MEM_ATTACH_SINGLE;
    (void)stream;
    if (result == CUDA_SUCCESS && (!one || (size && size != range.size)))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* ---- range attributes ---- */

static void list_devices(uint64_t devices, int *list, size_t n)
{
    size_t filled = 0;
    for (int device = 0; device < 64 && filled < n; device++)
        if (devices >> device & 1)
            list[filled++] = device;
    while (filled < n)
        list[filled++] = CU_DEVICE_INVALID;
}

static CUresult get_range_attribute(const struct advice *advice, CUmem_range_attribute attribute,
                                    int *data, size_t size)
{
    if (!data || size < sizeof(*data) || size % sizeof(*data))
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY) {
        list_devices(advice->accessed_by, data, size / sizeof(*data));
        return CUDA_SUCCESS;
    }
    if (size != sizeof(*data))
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
        *data = advice->read_mostly;
        return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
        *data = advice->preferred.id;
        return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
        *data = (int)advice->preferred.type;
        return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
        *data = advice->prefetched.id;
        return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
        *data = (int)advice->prefetched.type;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

WH_EXPORT CUresult cuMemRangeGetAttributes(void **data, size_t *sizes,
                                           CUmem_range_attribute *attributes, size_t n,
                                           CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range;
    struct advice none = {.preferred = NOWHERE, .prefetched = NOWHERE};
    CUresult result = find_managed(address, size, &range);
    if (result != CUDA_SUCCESS)
        return result;
    if (!data || !sizes || !attributes || !n)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    const struct advice *advice = advice_about(range.start);
    for (size_t i = 0; i < n && result == CUDA_SUCCESS; i++)
        result = get_range_attribute(advice ? advice : &none, attributes[i], data[i], sizes[i]);
    pthread_mutex_unlock(&lock);
    return result;
}

WH_EXPORT CUresult cuMemRangeGetAttribute(void *data, size_t data_size,
                                          CUmem_range_attribute attribute, CUdeviceptr address,
                                          size_t size)
{
    return cuMemRangeGetAttributes(&data, &data_size, &attribute, 1, address, size);
}
