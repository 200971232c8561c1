/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that kernels reach: allocated here or registered by the program. Its device address
 * is its own address. All of it is portable and mapped.
 */
#include "backend/softgpu/memory.h"

#include "backend/softgpu/graph.h"
#include "base/util.h"

#include <sys/mman.h>

static size_t page_round(size_t size)
{
    return wh_round_up(size, (uint64_t)sysconf(_SC_PAGESIZE));
}

static CUresult add_range(struct soft_context *context, enum soft_memory_kind kind, void *pointer,
                          size_t granted, size_t size, unsigned flags)
{
    const struct soft_range range = {
        .extent = {.start = (uint64_t)(uintptr_t)pointer, .size = granted},
        .size = size,
        .kind = kind,
        .flags = flags,
        .device = context->device,
        .context = context,
    };
    return soft_range_add(&range);
}

void soft_host_give(const struct soft_range *range)
{
    if (range->kind == SOFT_MEMORY_HOST)
        (void)munmap((void *)(uintptr_t)range->extent.start, range->extent.size);
}

SOFT_API CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned flags)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    const unsigned known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
    if (!pointer || size == 0 || (flags & ~known))
        return CUDA_ERROR_INVALID_VALUE;
    if (size > (size_t)INT64_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = soft_capture_unsafe();
    if (result != CUDA_SUCCESS)
        return result;
    size_t granted = page_round(size);
    void *memory = mmap(NULL, granted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = add_range(context, SOFT_MEMORY_HOST, memory, granted, size,
                       flags | CU_MEMHOSTALLOC_DEVICEMAP);
    if (result != CUDA_SUCCESS)
        (void)munmap(memory, granted);
    else
        *pointer = memory;
    return result;
}

SOFT_API CUresult cuMemAllocHost_v2(void **pointer, size_t size)
{
    return cuMemHostAlloc(pointer, size, 0);
}

/*
 * Takes a range out of the map. Any device may still use it: all work is waited for, and once more
 * what other threads began before it was out, since a running kernel keeps what it has reached.
 */
static bool retire(const struct soft_range *range)
{
    soft_context_wait(NULL);
    if (!soft_range_remove(range))
        return false;
    soft_context_wait(NULL);
    return true;
}

SOFT_API CUresult cuMemFreeHost(void *pointer)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_range range;
    if (!pointer || !soft_range_find((uintptr_t)pointer, &range) ||
        range.kind != SOFT_MEMORY_HOST || range.extent.start != (uintptr_t)pointer)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_capture_unsafe();
    if (result != CUDA_SUCCESS)
        return result;
    if (!retire(&range))
        return CUDA_ERROR_INVALID_VALUE;
    soft_host_give(&range);
    return soft_context_state(context);
}

SOFT_API CUresult cuMemHostRegister_v2(void *pointer, size_t size, unsigned flags)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    const unsigned known =
        CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY;
    if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
        return CUDA_ERROR_NOT_PERMITTED;
    if (!pointer || size == 0 || (flags & ~known) || (uintptr_t)pointer + size < size)
        return CUDA_ERROR_INVALID_VALUE;
    result = soft_capture_unsafe();
    if (result != CUDA_SUCCESS)
        return result;
    result = add_range(context, SOFT_MEMORY_REGISTERED, pointer, size, size,
                       flags | CU_MEMHOSTREGISTER_DEVICEMAP);
    return result == CUDA_ERROR_ALREADY_MAPPED ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : result;
}

SOFT_API CUresult cuMemHostUnregister(void *pointer)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    struct soft_range range;
    if (!pointer)
        return CUDA_ERROR_INVALID_VALUE;
    if (!soft_range_find((uintptr_t)pointer, &range) || range.kind != SOFT_MEMORY_REGISTERED ||
        range.extent.start != (uintptr_t)pointer)
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    result = soft_capture_unsafe();
    if (result != CUDA_SUCCESS)
        return result;
    return retire(&range) ? soft_context_state(context) : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

static CUresult find_host(void *pointer, struct soft_range *range)
{
    struct soft_context *context;
    CUresult result = soft_enter(&context);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_range_find((uintptr_t)pointer, range) && soft_range_on_host(range)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *pointer, unsigned flags)
{
    struct soft_range range;
    if (!device || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = find_host(pointer, &range);
    if (result == CUDA_SUCCESS)
        *device = (CUdeviceptr)(uintptr_t)pointer;
    return result;
}

SOFT_API CUresult cuMemHostGetFlags(unsigned *flags, void *pointer)
{
    struct soft_range range;
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = find_host(pointer, &range);
    if (result == CUDA_SUCCESS)
        *flags = range.flags;
    return result;
}
