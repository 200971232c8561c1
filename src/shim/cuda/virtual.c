/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual memory management: addresses that the program reserves, memory that it makes, and what it
 * maps where. An allocation lives as long as the program has a handle of it or it is mapped
 * somewhere; that is counted here, so that the worker hears of its end once, and a handle of what
 * is mapped can be had again without asking.
 */
#include "shim/cuda/virtual.h"

#include "shim/cuda/share.h"

#include <stdlib.h>
#include <sys/mman.h>

#define MOST_PLACES 4 /* reserved in the hope that one of them is free in this process too */

/* An allocation's state (wh_object.extra). */
struct allocation {
    unsigned handles; /* of the program's; guarded by `lock` */
    CUmemAllocationProp prop;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- reserved addresses ---- */

/* Keeps other memory of this process away from addresses that are the device's: natively they are
 * reserved here, too. */
static bool guard(CUdeviceptr address, size_t size)
{
    void *wanted = (void *)(uintptr_t)address;
    void *got = mmap(wanted, size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == wanted)
        return true;
    if (got != MAP_FAILED)
        munmap(got, size);
    return false;
}

/* Reserves until a place is free on both sides; what was reserved in vain is given back. */
static CUresult reserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr wanted,
                        unsigned long long flags)
{
    CUdeviceptr vain[MOST_PLACES];
    unsigned n = 0;
    bool guarded = false;
    CUresult result;
    do {
        result = wh_cuda_call_cuMemAddressReserve(address, size, alignment, wanted, flags);
        guarded = result == CUDA_SUCCESS && guard(*address, size);
        if (result == CUDA_SUCCESS && !guarded)
            vain[n++] = *address;
    } while (result == CUDA_SUCCESS && !guarded && n < MOST_PLACES);
    while (n > 0)
        wh_cuda_call_cuMemAddressFree(vain[--n], size);
    if (result == CUDA_SUCCESS && !guarded)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    return result;
}

WH_EXPORT CUresult cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment,
                                       CUdeviceptr wanted, unsigned long long flags)
{
    CUdeviceptr got = 0;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    result = reserve(&got, size, alignment, wanted, flags);
    if (result != CUDA_SUCCESS)
        return result;
    const struct wh_cuda_range range = {.start = got, .size = size};
    if (!wh_cuda_ranges_add(wh_cuda_reserved(), &range)) {
        munmap((void *)(uintptr_t)got, size);
        wh_cuda_call_cuMemAddressFree(got, size);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *address = got;
    return CUDA_SUCCESS;
}

/* The reservation goes first: behind the message, the same addresses may be another thread's. */
WH_EXPORT CUresult cuMemAddressFree(CUdeviceptr address, size_t size)
{
    struct wh_cuda_range range;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!wh_cuda_ranges_find(wh_cuda_reserved(), address, size, &range) || range.start != address ||
        range.size != size || wh_cuda_ranges_touch(wh_cuda_memory(), address, size) ||
        !wh_cuda_ranges_take(wh_cuda_reserved(), address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    munmap((void *)(uintptr_t)address, size);
    result = wh_cuda_call_cuMemAddressFree(address, size);
    if (result != CUDA_SUCCESS && guard(address, size))
        wh_cuda_ranges_add(wh_cuda_reserved(), &range);
    return result;
}

/* ---- allocations ---- */

static CUmemGenericAllocationHandle number_of(const struct wh_object *object)
{
    return (uintptr_t)object;
}

/* The allocation behind a handle that the program still has, pinned; NULL: none. */
static struct wh_object *hold(CUmemGenericAllocationHandle handle)
{
    pthread_mutex_lock(&lock);
    struct wh_object *object =
        wh_cuda_object((void *)(uintptr_t)handle, WH_CUDA_TYPE_wh_cuda_allocation);
    const struct allocation *allocation = object ? object->extra : NULL;
    if (allocation && allocation->handles)
        wh_object_pin(object);
    else
        object = NULL;
    pthread_mutex_unlock(&lock);
    return object;
}

/* Makes the handle of an allocation that the worker just made. */
static CUresult enter(wh_cuda_allocation made, const CUmemAllocationProp *prop,
                      CUmemGenericAllocationHandle *handle)
{
    struct wh_object *object = (struct wh_object *)made;
    struct allocation *allocation = calloc(1, sizeof(*allocation));
    if (!allocation) {
        wh_cuda_call_memory_release(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *allocation = (struct allocation){.handles = 1, .prop = *prop};
    allocation->prop.win32HandleMetaData = NULL;
    object->extra = allocation;
    *handle = number_of(object);
    return CUDA_SUCCESS;
}

WH_EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
                               const CUmemAllocationProp *prop, unsigned long long flags)
{
    wh_cuda_allocation made = NULL;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !prop)
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_memory_create(size, prop, flags, &made);
    return result == CUDA_SUCCESS ? enter(made, prop, handle) : result;
}

/* ---- between processes ---- */

static const char magic[8] = "WHMEMORY";

WH_EXPORT CUresult cuMemExportToShareableHandle(void *shareable,
                                                CUmemGenericAllocationHandle handle,
                                                CUmemAllocationHandleType type,
                                                unsigned long long flags)
{
    uint8_t token[16];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_object *object = shareable && !flags ? hold(handle) : NULL;
    if (!object)
        return CUDA_ERROR_INVALID_VALUE;
    const struct allocation *allocation = object->extra;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        result = CUDA_ERROR_NOT_SUPPORTED;
    else if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
             !(allocation->prop.requestedHandleTypes & type))
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = wh_cuda_call_memory_export((wh_cuda_allocation)object, token);
    wh_object_unpin(object);
    if (result != CUDA_SUCCESS)
        return result;
    int fd = wh_cuda_token_to_file(magic, token);
    memcpy(shareable, &fd, sizeof(fd));
    return fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

WH_EXPORT CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle,
                                                  void *descriptor, CUmemAllocationHandleType type)
{
    wh_cuda_allocation made = NULL;
    CUmemAllocationProp prop;
    uint8_t token[16];
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        !wh_cuda_token_from_file((int)(intptr_t)descriptor, magic, token))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_memory_import(token, &made);
    if (result != CUDA_SUCCESS)
        return result;
    result = wh_cuda_call_memory_properties(made, &prop);
    if (result == CUDA_SUCCESS)
        return enter(made, &prop, handle);
    wh_cuda_call_memory_release(made);
    return result;
}

/* ---- handles ---- */

WH_EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    CUresult result = wh_cuda_ready();
    struct wh_object *object = result == CUDA_SUCCESS ? hold(handle) : NULL;
    if (!object)
        return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
    pthread_mutex_lock(&lock);
    struct allocation *allocation = object->extra;
    if (allocation->handles == 0) /* another thread was faster */
        result = CUDA_ERROR_INVALID_VALUE;
    else if (--allocation->handles == 0)
        result = wh_cuda_call_memory_release((wh_cuda_allocation)object);
    pthread_mutex_unlock(&lock);
    wh_object_unpin(object);
    return result;
}

/* As natively, whatever part of the mapping the address is in. */
WH_EXPORT CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
    struct wh_cuda_range chunk;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    if (!handle || !wh_cuda_ranges_find_chunk(wh_cuda_memory(), (uintptr_t)address, &chunk)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        struct wh_object *object = chunk.extra;
        struct allocation *allocation = object->extra;
        if (allocation->handles++ == 0) { /* only mappings kept it */
            wh_object_pin(object);
            atomic_store_explicit(&object->references, 1, memory_order_relaxed);
        }
        *handle = number_of(object);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

WH_EXPORT CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
                                                          CUmemGenericAllocationHandle handle)
{
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    struct wh_object *object = hold(handle);
    if (!object || !prop)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = wh_cuda_call_memory_properties((wh_cuda_allocation)object, prop);
    if (object)
        wh_object_unpin(object);
    return result;
}

int wh_cuda_chunk_device(const struct wh_cuda_range *chunk)
{
    const struct allocation *allocation = ((const struct wh_object *)chunk->extra)->extra;
    return allocation->prop.location.id;
}

unsigned wh_cuda_chunk_handle_types(const struct wh_cuda_range *chunk)
{
    const struct allocation *allocation = ((const struct wh_object *)chunk->extra)->extra;
    return allocation->prop.requestedHandleTypes;
}

/* ---- mapping ---- */

WH_EXPORT CUresult cuMemMap(CUdeviceptr address, size_t size, size_t offset,
                            CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    struct wh_cuda_range reserved;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!size || !wh_cuda_ranges_find(wh_cuda_reserved(), address, size, &reserved))
        return CUDA_ERROR_INVALID_VALUE;
    struct wh_object *object = hold(handle); /* by the mapping from now on */
    if (!object)
        return CUDA_ERROR_INVALID_VALUE;
    const struct wh_cuda_range chunk = {.start = address,
                                        .size = size,
                                        .kind = WH_CUDA_MAPPED,
                                        .extra = object,
                                        .chunk = true,
                                        .closed = true};
    result = wh_cuda_call_memory_map(address, size, offset, (wh_cuda_allocation)object, flags);
    if (result == CUDA_SUCCESS && !wh_cuda_ranges_add(wh_cuda_memory(), &chunk)) {
        wh_cuda_call_cuMemUnmap(address, size);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result != CUDA_SUCCESS)
        wh_object_unpin(object);
    return result;
}

WH_EXPORT CUresult cuMemUnmap(CUdeviceptr address, size_t size)
{
    struct wh_cuda_range chunk;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!wh_cuda_ranges_are_chunks(wh_cuda_memory(), address, size))
        return CUDA_ERROR_INVALID_VALUE;
    result = wh_cuda_call_cuMemUnmap(address, size);
    pthread_mutex_lock(&lock); /* nobody is about to take a handle of what goes */
    while (result == CUDA_SUCCESS &&
           wh_cuda_ranges_take_chunk(wh_cuda_memory(), address, size, &chunk))
        wh_object_unpin(chunk.extra);
    pthread_mutex_unlock(&lock);
    return result;
}

WH_EXPORT CUresult cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *descs,
                                  size_t count)
{
    bool some = false;
    CUresult result = wh_cuda_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!descs || !count || !wh_cuda_ranges_are_chunks(wh_cuda_memory(), address, size))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++)
        some = some || descs[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
    result = wh_cuda_call_cuMemSetAccess(address, size, descs, count);
    if (result == CUDA_SUCCESS && some)
        wh_cuda_ranges_open(wh_cuda_memory(), address, size, true);
    return result;
}
