/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory and the map of all memory; see memory.h. */
#include "backend/softgpu/memory.h"

#include "backend/softgpu/graph.h"
#include "backend/softgpu/texture.h"
#include "base/util.h"

#include <string.h>
#include <sys/mman.h>

/* Freed memory of this size goes back to the system. */
#define RETURN_BYTES (256 * 1024)

_Static_assert(sizeof(struct soft_range) <= SOFT_SLOT, "an entry fits its place");

/* ---- the map ---- */

static struct soft_range *range_of(struct soft_extent *extent)
{
    return (struct soft_range *)extent; /* its first member */
}

static bool overlaps(const struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    struct soft_extent *last =
        soft_extent_below(map->ranges, range->extent.start + range->extent.size - 1);
    return last && last->start + last->size > range->extent.start;
}

CUresult soft_range_add(const struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    struct soft_range *copy = soft_slot_take();
    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *copy = *range;
    pthread_rwlock_wrlock(&map->lock);
    bool taken = overlaps(copy);
    if (!taken) {
        copy->id = ++map->id;
        soft_extent_insert(&map->ranges, &copy->extent);
    }
    pthread_rwlock_unlock(&map->lock);
    if (taken)
        soft_slot_give(copy);
    return taken ? CUDA_ERROR_ALREADY_MAPPED : CUDA_SUCCESS;
}

bool soft_range_find(uint64_t address, struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_rdlock(&map->lock);
    struct soft_extent *extent = soft_extent_at(map->ranges, address);
    if (extent)
        *range = *range_of(extent);
    pthread_rwlock_unlock(&map->lock);
    return extent;
}

/* Whether the bytes of a mapped range go on behind it for `size` more. Lock held. */
static bool goes_on(const struct soft_range *range, uint64_t size)
{
    struct soft_map *map = &soft_driver()->map;
    while (range && range->kind == SOFT_MEMORY_MAPPED && range->access && size > 0) {
        struct soft_extent *next =
            soft_extent_at(map->ranges, range->extent.start + range->extent.size);
        range = next ? range_of(next) : NULL;
        if (!range || range->kind != SOFT_MEMORY_MAPPED || !range->access)
            return false;
        size -= size < range->size ? size : range->size;
    }
    return size == 0;
}

bool soft_range_holds(uint64_t address, uint64_t size, struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    bool inside = false;
    pthread_rwlock_rdlock(&map->lock);
    struct soft_extent *extent = soft_extent_at(map->ranges, address);
    if (extent) {
        const struct soft_range *found = range_of(extent);
        uint64_t offset = address - extent->start;
        *range = *found;
        if (offset <= found->size && (found->kind != SOFT_MEMORY_MAPPED || found->access))
            inside = size <= found->size - offset || goes_on(found, size - (found->size - offset));
    }
    pthread_rwlock_unlock(&map->lock);
    return inside;
}

bool soft_ranges_fill(uint64_t start, uint64_t size)
{
    struct soft_map *map = &soft_driver()->map;
    uint64_t at = start;
    pthread_rwlock_rdlock(&map->lock);
    while (at - start < size) {
        struct soft_extent *extent = soft_extent_at(map->ranges, at);
        if (!extent || extent->start != at || range_of(extent)->kind != SOFT_MEMORY_MAPPED)
            break;
        at += extent->size;
    }
    pthread_rwlock_unlock(&map->lock);
    return size > 0 && at - start == size;
}

void soft_ranges_set_access(uint64_t start, uint64_t size, unsigned devices, bool access)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_wrlock(&map->lock);
    for (uint64_t at = start; at - start < size;) {
        struct soft_extent *extent = soft_extent_at(map->ranges, at);
        if (!extent)
            break;
        struct soft_range *range = range_of(extent);
        range->access = access ? range->access | devices : range->access & ~devices;
        at = extent->start + extent->size;
    }
    pthread_rwlock_unlock(&map->lock);
}

static struct soft_range *same_range(const struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    struct soft_extent *extent = soft_extent_at(map->ranges, range->extent.start);
    return extent && range_of(extent)->id == range->id ? range_of(extent) : NULL;
}

bool soft_range_remove(const struct soft_range *range)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_wrlock(&map->lock);
    struct soft_range *found = same_range(range);
    if (found)
        soft_extent_remove(&map->ranges, &found->extent);
    pthread_rwlock_unlock(&map->lock);
    soft_slot_give(found);
    return found;
}

bool soft_range_set_freeing(uint64_t address)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_wrlock(&map->lock);
    struct soft_extent *extent = soft_extent_at(map->ranges, address);
    bool good = extent && !range_of(extent)->freeing;
    if (good)
        range_of(extent)->freeing = true;
    pthread_rwlock_unlock(&map->lock);
    return good;
}

bool soft_range_set_sync_copies(uint64_t address, bool value)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_wrlock(&map->lock);
    struct soft_extent *extent = soft_extent_at(map->ranges, address);
    if (extent)
        range_of(extent)->sync_copies = value;
    pthread_rwlock_unlock(&map->lock);
    return extent;
}

/* ---- device memory ---- */

/* Lock held. Small allocations are taken from the first bytes while there are such. */
static uint64_t take_addresses(struct soft_device *device, uint64_t size, uint64_t alignment)
{
    bool is_small = size <= SOFT_NEAR_MOST;
    struct soft_extent **first = is_small ? &device->near : &device->space;
    struct soft_extent **then = is_small ? &device->space : &device->near;
    uint64_t address = soft_space_take(first, size, alignment);
    return address ? address : soft_space_take(then, size, alignment);
}

static uint64_t take(struct soft_device *device, uint64_t size, uint64_t alignment)
{
    uint64_t address = 0;
    pthread_mutex_lock(&device->lock);
    if (size <= device->total - device->used)
        address = take_addresses(device, size, alignment);
    if (address) {
        device->used += size;
        soft_meter_memory(device);
    }
    pthread_mutex_unlock(&device->lock);
    return address;
}

uint64_t soft_memory_take(struct soft_device *device, uint64_t size, uint64_t alignment)
{
    if (size == 0 || size > device->total || alignment > device->total)
        return 0;
    size = wh_round_up(size, SOFT_UNIT);
    if (alignment < SOFT_UNIT)
        alignment = SOFT_UNIT;
    uint64_t address = take(device, size, alignment);
    if (address)
        return address;
    soft_pool_trim_all(device);
    return take(device, size, alignment);
}

/* Bytes in one of the two parts. */
static void give_part(struct soft_device *device, struct soft_extent **space, uint64_t start,
                      uint64_t end)
{
    if (start >= end)
        return;
    pthread_mutex_lock(&device->lock);
    (void)soft_space_give(space, start, end - start);
    device->used -= end - start;
    soft_meter_memory(device);
    pthread_mutex_unlock(&device->lock);
}

void soft_memory_give(struct soft_device *device, uint64_t address, uint64_t size)
{
    uint64_t end = address + wh_round_up(size, SOFT_UNIT), near = device->base + device->near_size;
    uint64_t far = address > near ? address : near, page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t first = wh_round_up(far, page), last = end & ~(page - 1);
    if (size >= RETURN_BYTES && first < last)
        (void)madvise((void *)(uintptr_t)first, last - first, MADV_REMOVE);
    give_part(device, &device->near, address, end < near ? end : near);
    give_part(device, &device->space, far, end);
}

CUresult soft_memory_allocate(struct soft_context *context, enum soft_memory_kind kind,
                              uint64_t size, uint64_t alignment, unsigned flags, uint64_t *address)
{
    *address = soft_memory_take(context->device, size, alignment);
    if (!*address)
        return CUDA_ERROR_OUT_OF_MEMORY;
    const struct soft_range range = {
        .extent = {.start = *address, .size = wh_round_up(size, SOFT_UNIT)},
        .size = size,
        .kind = kind,
        .flags = flags,
        .device = context->device,
        .context = context,
    };
    CUresult result = soft_range_add(&range);
    if (result != CUDA_SUCCESS)
        soft_memory_give(context->device, *address, size);
    return result;
}

/* The bytes of a range that is out of the map go back to where they came from. */
static void give(const struct soft_range *range)
{
    if (range->pool)
        soft_pool_give(range);
    else if (soft_range_on_host(range))
        soft_host_give(range);
    else if (range->kind == SOFT_MEMORY_IMPORTED)
        soft_ipc_give(range);
    else if (range->kind != SOFT_MEMORY_GRAPH)
        soft_memory_give(range->device, range->extent.start, range->size);
}

static bool find_of_context(struct soft_extent *extent, const struct soft_context *context,
                            struct soft_range *range)
{
    if (!extent)
        return false;
    if (range_of(extent)->context == context) {
        *range = *range_of(extent);
        return true;
    }
    return find_of_context(extent->left, context, range) ||
           find_of_context(extent->right, context, range);
}

void soft_memory_release_all(struct soft_context *context)
{
    struct soft_map *map = &soft_driver()->map;
    for (;;) {
        struct soft_range range;
        pthread_rwlock_rdlock(&map->lock);
        bool found = find_of_context(map->ranges, context, &range);
        pthread_rwlock_unlock(&map->lock);
        if (!found)
            return;
        if (soft_range_remove(&range))
            give(&range);
    }
}

/* ---- what the engine uses ---- */

/* Whether a context's kernels may touch a range. CUDA C++ Programming Guide, "Unified Virtual
 * Address Space" and "Peer-to-Peer Memory Access". */
static bool reaches(const struct soft_context *context, const struct soft_range *range)
{
    if (soft_range_on_host(range) || range->kind == SOFT_MEMORY_MANAGED)
        return true;
    if (range->kind == SOFT_MEMORY_POOL)
        return soft_pool_reaches(range->pool, context->device);
    if (range->kind == SOFT_MEMORY_MAPPED)
        return range->access & (1u << context->device->ordinal);
    if (range->device == context->device)
        return range->context == context;
    return atomic_load_explicit(&context->peers, memory_order_relaxed) &
           (1u << range->device->ordinal);
}

bool soft_memory_reach(void *owner, uint64_t address, uint64_t *start, uint64_t *end)
{
    struct soft_map *map = &soft_driver()->map;
    pthread_rwlock_rdlock(&map->lock);
    struct soft_extent *extent = soft_extent_at(map->ranges, address);
    bool good = extent && reaches(owner, range_of(extent));
    if (good) {
        *start = extent->start;
        *end = extent->start + extent->size;
    }
    /* What is mapped side by side is one piece of memory to a kernel. */
    while (good && range_of(extent)->kind == SOFT_MEMORY_MAPPED &&
           (extent = soft_extent_at(map->ranges, *end)) &&
           range_of(extent)->kind == SOFT_MEMORY_MAPPED && reaches(owner, range_of(extent)))
        *end = extent->start + extent->size;
    pthread_rwlock_unlock(&map->lock);
    return good;
}

static uint64_t allocate(void *owner, size_t size, size_t alignment)
{
    uint64_t address;
    if (soft_memory_allocate(owner, SOFT_MEMORY_GLOBAL, size, alignment, 0, &address) !=
        CUDA_SUCCESS)
        return 0;
    memset((void *)(uintptr_t)address, 0, size);
    return address;
}

static void release(void *owner, uint64_t address)
{
    struct soft_range range;
    if (soft_range_find(address, &range) && range.context == owner && soft_range_remove(&range))
        give(&range);
}

static void set_condition(void *owner, uint64_t handle, uint32_t value)
{
    (void)owner;
    soft_conditional_set(handle, value);
}

void soft_memory_bind(struct soft_context *context)
{
    context->memory = (struct wh_soft_memory){.reach = soft_memory_reach,
                                              .allocate = allocate,
                                              .release = release,
                                              .texture = soft_texture_find,
                                              .set_condition = set_condition,
                                              .owner = context};
}

/* ---- the API ---- */

SOFT_API CUresult cuMemGetInfo_v2(size_t *unused, size_t *total)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!unused || !total)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_device *device = context->device;
    pthread_mutex_lock(&device->lock);
    *unused = device->total - device->used;
    *total = device->total;
    pthread_mutex_unlock(&device->lock);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t address;
    result = soft_capture_unsafe();
    if (result == CUDA_SUCCESS)
        result = soft_memory_allocate(context, SOFT_MEMORY_DEVICE, size, SOFT_UNIT, 0, &address);
    if (result == CUDA_SUCCESS)
        *pointer = address;
    return result;
}

SOFT_API CUresult cuMemAllocPitch_v2(CUdeviceptr *pointer, size_t *pitch, size_t width,
                                     size_t height, unsigned element)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || !pitch || width == 0 || height == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (element != 4 && element != 8 && element != 16)
        return CUDA_ERROR_INVALID_VALUE;
    size_t row, size;
    if (width > INT32_MAX ||
        __builtin_mul_overflow(wh_round_up(width, SOFT_PITCH_ALIGNMENT), height, &size))
        return CUDA_ERROR_INVALID_VALUE;
    row = wh_round_up(width, SOFT_PITCH_ALIGNMENT);
    uint64_t address;
    result = soft_capture_unsafe();
    if (result == CUDA_SUCCESS)
        result = soft_memory_allocate(context, SOFT_MEMORY_DEVICE, size, SOFT_PITCH_ALIGNMENT, 0,
                                      &address);
    if (result == CUDA_SUCCESS) {
        *pointer = address;
        *pitch = row;
    }
    return result;
}

SOFT_API CUresult cuMemAllocManaged(CUdeviceptr *pointer, size_t size, unsigned flags)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || size == 0 || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t address, page = (uint64_t)sysconf(_SC_PAGESIZE);
    result = soft_capture_unsafe();
    if (result == CUDA_SUCCESS)
        result = soft_memory_allocate(context, SOFT_MEMORY_MANAGED, size, page, flags, &address);
    if (result == CUDA_SUCCESS)
        *pointer = address;
    return result;
}

/* As the hardware's driver does, freeing waits for the work that may still use the memory. */
SOFT_API CUresult cuMemFree_v2(CUdeviceptr pointer)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS || !pointer)
        return result;
    struct soft_range range;
    if (!soft_range_find(pointer, &range) || range.extent.start != pointer ||
        soft_range_on_host(&range) || range.kind == SOFT_MEMORY_GLOBAL ||
        range.kind == SOFT_MEMORY_MAPPED || (range.kind == SOFT_MEMORY_IMPORTED && !range.pool) ||
        range.freeing)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_capture_unsafe();
    if (result != CUDA_SUCCESS)
        return result;
    soft_context_wait(range.context);
    if (range.kind == SOFT_MEMORY_GRAPH)
        return soft_graph_memory_free(pointer) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (!soft_range_remove(&range))
        return CUDA_ERROR_INVALID_VALUE;
    give(&range);
    return soft_context_state(context);
}

SOFT_API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr pointer)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_range range;
    if (!soft_range_find(pointer, &range))
        return CUDA_ERROR_NOT_FOUND;
    if (base)
        *base = range.extent.start;
    if (size)
        *size = range.size;
    return CUDA_SUCCESS;
}

/* ---- managed memory: it is always everywhere, advice changes nothing ---- */

static CUresult check_managed(CUdeviceptr pointer, size_t size)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_range range;
    if (size == 0 || !soft_range_holds(pointer, size, &range) || range.kind != SOFT_MEMORY_MANAGED)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemAdvise_v2(CUdeviceptr pointer, size_t size, CUmem_advise advice,
                                 CUmemLocation location)
{
    (void)location;
    if ((unsigned)advice < CU_MEM_ADVISE_SET_READ_MOSTLY ||
        (unsigned)advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
        return CUDA_ERROR_INVALID_VALUE;
    return check_managed(pointer, size);
}

SOFT_API CUresult cuMemAdvise(CUdeviceptr pointer, size_t size, CUmem_advise advice,
                              CUdevice device)
{
    if (device != CU_DEVICE_CPU && !soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return cuMemAdvise_v2(pointer, size, advice, (CUmemLocation){0});
}

static CUresult prefetch(CUdeviceptr pointer, size_t size, CUstream stream)
{
    SOFT_HOLD struct soft_stream *held;
    CUresult result = soft_enter_stream(stream, &held);
    return result == CUDA_SUCCESS ? check_managed(pointer, size) : result;
}

SOFT_API CUresult cuMemPrefetchAsync(CUdeviceptr pointer, size_t size, CUdevice device,
                                     CUstream stream)
{
    if (device != CU_DEVICE_CPU && !soft_device_get(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return prefetch(pointer, size, stream);
}

SOFT_API CUresult cuMemPrefetchAsync_v2(CUdeviceptr pointer, size_t size, CUmemLocation location,
                                        unsigned flags, CUstream stream)
{
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (location.type == CU_MEM_LOCATION_TYPE_DEVICE && !soft_device_get(location.id))
        return CUDA_ERROR_INVALID_DEVICE;
    return prefetch(pointer, size, stream);
}

SOFT_API CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr pointer, size_t size,
                                         unsigned flags)
{
    SOFT_HOLD struct soft_stream *held;
    CUresult result = soft_enter_stream(stream, &held);
    if (result != CUDA_SUCCESS)
        return result;
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST &&
        flags != CU_MEM_ATTACH_SINGLE)
        return CUDA_ERROR_INVALID_VALUE;
    return check_managed(pointer, size ? size : 1);
}
