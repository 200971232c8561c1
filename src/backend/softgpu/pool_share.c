/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of other processes: a pool's descriptor is the file of the device's memory, and what is
 * said of an allocation is where in that file it lies.
 */
#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* In CUmemPoolPtrExportData. */
struct location {
    char magic[8];
    uint64_t offset, size;
};

static const char magic[8] = "SOFTPOOL";

/* The pool with this handle, with a reference for the caller. */
static CUresult find_pool(CUmemoryPool handle, struct soft_pool **pool)
{
    *pool = NULL;
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    *pool = soft_object_get(handle, SOFT_POOL);
    return *pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuMemPoolExportToShareableHandle(void *out, CUmemoryPool handle,
                                                   CUmemAllocationHandleType type,
                                                   unsigned long long flags)
{
    SOFT_HOLD struct soft_pool *pool;
    CUresult result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    int file = soft_pool_exported_file(pool);
    if (!out || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || file < 0)
        return CUDA_ERROR_INVALID_VALUE;
    int fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(out, &fd, sizeof(fd));
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *descriptor,
                                                     CUmemAllocationHandleType type,
                                                     unsigned long long flags)
{
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    int fd = (int)(intptr_t)descriptor;
    if (!pool || flags != 0 || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        fcntl(fd, F_GET_SEALS) < 0) /* a file of memory at least; what is in it is checked later */
        return CUDA_ERROR_INVALID_VALUE;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *pool = soft_pool_import(copy);
    if (*pool)
        return CUDA_SUCCESS;
    close(copy);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

SOFT_API CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *out, CUdeviceptr pointer)
{
    struct soft_range range;
    CUresult result = soft_ready();
    if (result != CUDA_SUCCESS)
        return result;
    if (!out || !soft_range_find(pointer, &range) || range.kind != SOFT_MEMORY_POOL ||
        range.extent.start != pointer || soft_pool_exported_file(range.pool) < 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct location location = {.offset = pointer - range.device->base, .size = range.size};
    memcpy(location.magic, magic, sizeof(magic));
    memset(out, 0, sizeof(*out));
    memcpy(out, &location, sizeof(location));
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuMemPoolImportPointer(CUdeviceptr *pointer, CUmemoryPool handle,
                                         CUmemPoolPtrExportData *data)
{
    SOFT_HOLD struct soft_pool *pool = NULL;
    struct soft_context *context;
    struct location location;
    CUresult result = soft_enter(&context);
    if (result == CUDA_SUCCESS)
        result = find_pool(handle, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    int file = soft_pool_imported_file(pool);
    if (!pointer || !data || file < 0)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&location, data, sizeof(location));
    if (memcmp(location.magic, magic, sizeof(magic)) != 0 || location.size == 0 ||
        location.offset > UINT64_MAX / 4 || location.size > UINT64_MAX / 4)
        return CUDA_ERROR_INVALID_VALUE;
    return soft_ipc_map(file, location.offset, location.size, context, pool, pointer);
}
