/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory pools and stream-ordered allocation. An allocation's address is known at once; its memory
 * goes back to the pool when the stream comes to the free. A pool holds on to what was freed up to
 * its release threshold, above which it is given back to the device at the next synchronisation or
 * allocation that needs it.
 */
#include "backend/softgpu/pool.h"

#include "backend/softgpu/graph.h"
#include "base/util.h"

#include <string.h>

/* ---- memory ---- */

bool soft_pool_reaches(const struct soft_pool *pool, const struct soft_device *device)
{
    return pool->device == device ||
           (atomic_load_explicit(&pool->access, memory_order_relaxed) & (1u << device->ordinal));
}

/* New memory for the pool; 0: it may have no more, or the device has none. Lock held. */
static uint64_t grow(struct soft_pool *pool, uint64_t size)
{
    if (pool->most && size > pool->most - pool->reserved)
        soft_pool_trim(pool, pool->most > size ? pool->most - size : 0);
    if (pool->most && (size > pool->most || pool->reserved > pool->most - size))
        return 0;
    uint64_t address = soft_memory_take(pool->device, size, SOFT_UNIT);
    if (!address) {
        soft_pool_trim(pool, 0);
        address = soft_memory_take(pool->device, size, SOFT_UNIT);
    }
    if (address)
        pool->reserved += size;
    if (pool->reserved > pool->reserved_high)
        pool->reserved_high = pool->reserved;
    return address;
}

static uint64_t take(struct soft_pool *pool, uint64_t size)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t address = soft_space_take(&pool->unused, size, SOFT_UNIT);
    if (!address)
        address = grow(pool, size);
    if (address)
        pool->used += size;
    if (pool->used > pool->used_high)
        pool->used_high = pool->used;
    pthread_mutex_unlock(&pool->lock);
    return address;
}

static void put(struct soft_pool *pool, uint64_t address, uint64_t size)
{
    pthread_mutex_lock(&pool->lock);
    pool->used -= size;
    if (soft_space_give(&pool->unused, address, size) && pool->reserved > pool->threshold)
        soft_pool_trim(pool, pool->threshold);
    pthread_mutex_unlock(&pool->lock);
}

void soft_pool_give(const struct soft_range *range)
{
    if (range->kind == SOFT_MEMORY_IMPORTED)
        soft_ipc_give(range);
    else
        put(range->pool, range->extent.start, range->extent.size);
    soft_object_release(range->pool);
}

/* ---- handles ---- */

static CUresult find_pool(CUmemoryPool handle, struct soft_pool **pool)
{
    *pool = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *pool = soft_object_get(handle, SOFT_POOL);
    return *pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The pool's allocations stay good; it goes with the last of them. */
SOFT_API CUresult cuMemPoolDestroy(CUmemoryPool handle)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    if (pool->owned_by_device)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_device *device = pool->device;
    SOFT_HOLD struct soft_pool *current = NULL;
    pthread_mutex_lock(&device->lock);
    if (device->pool == pool) {
        current = device->pool;
        device->pool = soft_object_retain(device->default_pool);
    }
    pthread_mutex_unlock(&device->lock);
    return soft_object_unlist(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&pool->lock);
    soft_pool_trim(pool, keep);
    pthread_mutex_unlock(&pool->lock);
    return CUDA_SUCCESS;
}

/* ---- which pool a device allocates from ---- */

static struct soft_pool *device_pool(struct soft_device *device)
{
    pthread_mutex_lock(&device->lock);
    struct soft_pool *pool = soft_object_retain(device->pool);
    pthread_mutex_unlock(&device->lock);
    return pool;
}

static CUresult get_pool(CUmemoryPool *handle, CUdevice number, bool by_default)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    struct soft_device *device = soft_device_get(number);
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    SOFT_HOLD struct soft_pool *pool = device_pool(device);
    *handle = (CUmemoryPool)(by_default ? device->default_pool : pool);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    return get_pool(pool, device, true);
}

SOFT_API CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device)
{
    return get_pool(pool, device, false);
}

SOFT_API CUresult cuDeviceSetMemPool(CUdevice number, CUmemoryPool handle)
{
    SOFT_HOLD struct soft_pool *pool, *before = NULL;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_device *device = soft_device_get(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    if (pool->device != device)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&device->lock);
    before = device->pool;
    device->pool = soft_object_retain(pool);
    pthread_mutex_unlock(&device->lock);
    return CUDA_SUCCESS;
}

static CUresult check_location(const CUmemLocation *location, CUmemAllocationType type)
{
    if (!location)
        return CUDA_ERROR_INVALID_VALUE;
    return type == CU_MEM_ALLOCATION_TYPE_PINNED && location->type == CU_MEM_LOCATION_TYPE_DEVICE
               ? CUDA_SUCCESS
               : CUDA_ERROR_NOT_SUPPORTED;
}

SOFT_API CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *location,
                                         CUmemAllocationType type)
{
    CUresult result = check_location(location, type);
    return result == CUDA_SUCCESS ? get_pool(pool, location->id, true) : result;
}

SOFT_API CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location,
                                  CUmemAllocationType type)
{
    CUresult result = check_location(location, type);
    return result == CUDA_SUCCESS ? get_pool(pool, location->id, false) : result;
}

SOFT_API CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type,
                                  CUmemoryPool pool)
{
    CUresult result = check_location(location, type);
    return result == CUDA_SUCCESS ? cuDeviceSetMemPool(location->id, pool) : result;
}

/* ---- attributes and access ---- */

static uint64_t *counter(struct soft_pool *pool, int attribute)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        return &pool->threshold;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
        return &pool->reserved;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        return &pool->reserved_high;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        return &pool->used;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        return &pool->used_high;
    default:
        return NULL;
    }
}

static bool is_reuse(int attribute)
{
    return attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
           attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

SOFT_API CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                        void *value)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    const uint64_t *found = counter(pool, (int)attribute);
    if (!value || (!found && !is_reuse((int)attribute)))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool->lock);
    if (found)
        memcpy(value, found, sizeof(*found));
    else
        memcpy(value, &pool->reuse[(int)attribute - 1], sizeof(int));
    pthread_mutex_unlock(&pool->lock);
    return CUDA_SUCCESS;
}

/* The marks may only be reset to what is used now. Lock held. */
static CUresult set_counter(struct soft_pool *pool, int attribute, uint64_t value)
{
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)
        pool->threshold = value;
    else if (value == 0 && attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)
        pool->reserved_high = pool->reserved;
    else if (value == 0 && attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH)
        pool->used_high = pool->used;
    else
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute,
                                        void *value)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool->lock);
    if (is_reuse((int)attribute)) {
        memcpy(&pool->reuse[(int)attribute - 1], value, sizeof(int));
    } else {
        uint64_t bytes;
        memcpy(&bytes, value, sizeof(bytes));
        result = set_counter(pool, (int)attribute, bytes);
    }
    pthread_mutex_unlock(&pool->lock);
    return result;
}

SOFT_API CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *map, size_t count)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    if (!map && count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        const struct soft_device *device = soft_device_get(map[i].location.id);
        bool none = map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE;
        if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
            (!none && map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
            return CUDA_ERROR_INVALID_VALUE;
        if (!device || (none && device == pool->device))
            return CUDA_ERROR_INVALID_DEVICE;
        unsigned bit = 1u << device->ordinal;
        if (none)
            atomic_fetch_and(&pool->access, ~bit);
        else
            atomic_fetch_or(&pool->access, bit);
    }
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle,
                                     CUmemLocation *location)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    const struct soft_device *device = soft_device_get(location->id);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    *flags = soft_pool_reaches(pool, device) ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                                             : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
}

/* ---- allocation ---- */

static CUresult allocate(struct soft_pool *pool, struct soft_context *context, size_t size,
                         CUdeviceptr *pointer)
{
    if (pool->imported >= 0)
        return CUDA_ERROR_INVALID_VALUE; /* only its owner allocates from it */
    if (size > pool->device->total)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t granted = wh_round_up(size, SOFT_UNIT), address = take(pool, granted);
    if (!address)
        return CUDA_ERROR_OUT_OF_MEMORY;
    const struct soft_range range = {
        .extent = {.start = address, .size = granted},
        .size = size,
        .kind = SOFT_MEMORY_POOL,
        .device = pool->device,
        .context = context,
        .pool = soft_object_retain(pool),
    };
    CUresult result = soft_range_add(&range);
    if (result == CUDA_SUCCESS)
        *pointer = address;
    else
        soft_pool_give(&range);
    return result;
}

/* In a capture, it is a node that allocates. */
static CUresult allocate_in_order(struct soft_pool *pool, struct soft_stream *stream, size_t size,
                                  CUdeviceptr *pointer)
{
    bool taken = false;
    CUresult result = CUDA_SUCCESS;
    if (soft_capturing())
        result = soft_capture_allocate(stream, size, pointer, &taken);
    return taken ? result : allocate(pool, stream->object.context, size, pointer);
}

SOFT_API CUresult cuMemAllocFromPoolAsync(CUdeviceptr *pointer, size_t size, CUmemoryPool handle,
                                          CUstream stream_handle)
{
    SOFT_HOLD struct soft_stream *stream;
    SOFT_HOLD struct soft_pool *pool = NULL;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result == CUDA_SUCCESS)
        result = find_pool(handle, &pool);
    if (result == CUDA_SUCCESS && (!pointer || size == 0))
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? allocate_in_order(pool, stream, size, pointer) : result;
}

SOFT_API CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t size, CUstream stream_handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    SOFT_HOLD struct soft_pool *pool = device_pool(stream->object.context->device);
    return allocate_in_order(pool, stream, size, pointer);
}

/* ---- freeing ---- */

struct free_command {
    struct soft_command command;
    struct soft_range range;
};

/* In discard, not in run: the memory goes back after a fault too. */
static void discard_free(struct soft_command *command)
{
    const struct soft_range *range = &((struct free_command *)command)->range;
    if (range->pool && soft_range_remove(range))
        soft_pool_give(range);
}

static CUresult run_free(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream, (void)command;
    return CUDA_SUCCESS;
}

/* A graph's memory, freed outside of any graph. Whoever gets it next is a launch, which waits. */
static CUresult free_of_graph(struct soft_stream *stream, CUdeviceptr pointer)
{
    soft_stream_wait(stream);
    return soft_graph_memory_free(pointer) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Memory of cuMemAlloc: the stream waits for nothing else, the free comes at its point. */
static CUresult free_plain(struct soft_stream *stream, CUdeviceptr pointer)
{
    soft_stream_wait(stream);
    return cuMemFree_v2(pointer);
}

SOFT_API CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream_handle)
{
    SOFT_HOLD struct soft_stream *stream;
    CUresult result = soft_enter_stream(stream_handle, &stream);
    if (result != CUDA_SUCCESS || !pointer)
        return result;
    struct soft_range range;
    bool taken = false;
    if (soft_capturing())
        result = soft_capture_free(stream, pointer, &taken);
    if (taken)
        return result;
    if (!soft_range_find(pointer, &range) || range.extent.start != pointer)
        return CUDA_ERROR_INVALID_VALUE;
    if (range.kind == SOFT_MEMORY_GRAPH)
        return free_of_graph(stream, pointer);
    bool pooled =
        range.kind == SOFT_MEMORY_POOL || (range.kind == SOFT_MEMORY_IMPORTED && range.pool);
    if (!pooled && range.kind != SOFT_MEMORY_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (range.kind == SOFT_MEMORY_DEVICE)
        return free_plain(stream, pointer);
    struct free_command *self = soft_command_new(sizeof(*self), run_free);
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!soft_range_set_freeing(pointer)) { /* freed already */
        soft_command_free(&self->command);
        return CUDA_ERROR_INVALID_VALUE;
    }
    self->range = range;
    self->command.discard = discard_free;
    self->command.brief = true;
    return soft_submit(stream, &self->command, NULL);
}
