/* SPDX-License-Identifier: Apache-2.0 */
/* The memory pools there are: made, listed, ended. What is allocated from them is pool.c's. */
#include "backend/softgpu/pool.h"

#include <unistd.h>

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_pool *all;

void soft_pool_trim(struct soft_pool *pool, uint64_t keep)
{
    struct soft_extent *extent;
    while (pool->reserved > keep && (extent = soft_extent_any(pool->unused))) {
        soft_extent_remove(&pool->unused, extent);
        pool->reserved -= extent->size;
        soft_memory_give(pool->device, extent->start, extent->size);
        soft_slot_give(extent);
    }
}

void soft_pool_trim_all(struct soft_device *device)
{
    pthread_mutex_lock(&all_lock);
    for (struct soft_pool *pool = all; pool; pool = pool->next) {
        if (pool->device != device || pthread_mutex_trylock(&pool->lock) != 0)
            continue; /* one that is being taken from has nothing to spare */
        soft_pool_trim(pool, 0);
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&all_lock);
}

static void destroy_pool(void *object)
{
    struct soft_pool *pool = object;
    pthread_mutex_lock(&all_lock);
    *pool->link = pool->next;
    if (pool->next)
        pool->next->link = pool->link;
    pthread_mutex_unlock(&all_lock);
    soft_pool_trim(pool, 0);
    if (pool->imported >= 0)
        close(pool->imported);
    pthread_mutex_destroy(&pool->lock);
}

struct soft_pool *soft_pool_new(struct soft_device *device, uint64_t most)
{
    struct soft_pool *pool = soft_object_new(SOFT_POOL, sizeof(*pool), NULL, destroy_pool);
    if (!pool)
        return NULL;
    pool->device = device;
    pool->most = most;
    pool->imported = -1;
    for (int i = 0; i < 3; i++)
        pool->reuse[i] = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_lock(&all_lock);
    pool->next = all;
    pool->link = &all;
    if (all)
        all->link = &pool->next;
    all = pool;
    pthread_mutex_unlock(&all_lock);
    soft_object_list(pool);
    return pool;
}

int soft_pool_exported_file(const struct soft_pool *pool)
{
    return pool->exportable ? pool->device->memory : -1;
}

int soft_pool_imported_file(const struct soft_pool *pool)
{
    return pool->imported;
}

CUmemoryPool soft_pool_import(int file)
{
    struct soft_pool *pool = soft_pool_new(&soft.devices[0], 0);
    if (pool)
        pool->imported = file;
    return (CUmemoryPool)pool;
}

bool soft_pool_start(struct soft_device *device)
{
    device->default_pool = soft_pool_new(device, 0);
    if (!device->default_pool)
        return false;
    device->default_pool->owned_by_device = true;
    device->pool = soft_object_retain(device->default_pool);
    return true;
}

SOFT_API CUresult cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!handle || !properties || properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if ((properties->handleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) ||
        properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct soft_device *device = soft_device_get(properties->location.id);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    struct soft_pool *pool = soft_pool_new(device, properties->maxSize);
    if (!pool)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pool->exportable = properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE;
    *handle = (CUmemoryPool)pool;
    return CUDA_SUCCESS;
}
