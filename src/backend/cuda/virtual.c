/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual memory management. The session's reserved addresses have a map of their own; memory is
 * mapped inside of those only, and enters the map of what the session may name as chunks, closed
 * until a device has access. What is mapped where with which access is the driver's to judge: here
 * it is made sure that all of it is the session's.
 */
#include "backend/cuda/backend.h"

/* ---- addresses ---- */

CUresult wh_cuda_do_cuMemAddressReserve(struct wh_call *call, CUdeviceptr *address, size_t size,
                                        size_t alignment, CUdeviceptr wanted,
                                        unsigned long long flags)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range = {.size = size};
    if (!address || !size)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = state->f.cuMemAddressReserve(address, size, alignment, wanted, flags);
    if (result != CUDA_SUCCESS)
        return result;
    range.start = *address;
    if (wh_cuda_ranges_add(state->reserved, &range))
        return CUDA_SUCCESS;
    state->f.cuMemAddressFree(range.start, size);
    *address = 0;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* The reservation goes first: what follows must not find it any more. */
CUresult wh_cuda_do_cuMemAddressFree(struct wh_call *call, CUdeviceptr address, size_t size)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range range;
    if (!wh_cuda_ranges_find(state->reserved, address, size, &range) || range.start != address ||
        range.size != size || wh_cuda_ranges_touch(state->ranges, address, size) ||
        !wh_cuda_ranges_take(state->reserved, address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = state->f.cuMemAddressFree(address, size);
    if (result != CUDA_SUCCESS)
        wh_cuda_ranges_add(state->reserved, &range);
    return result;
}

/* ---- allocations ---- */

static CUmemGenericAllocationHandle handle_of(wh_cuda_allocation allocation)
{
    return (CUmemGenericAllocationHandle)(uintptr_t)allocation;
}

/* What of a client's wishes may reach the driver: memory of a device, handed on by descriptor at
 * most. */
static CUresult accept(const CUmemAllocationProp *prop, CUmemAllocationProp *own)
{
    if (!prop)
        return CUDA_ERROR_INVALID_VALUE;
    if (prop->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        prop->location.type == CU_MEM_LOCATION_TYPE_HOST ||
        prop->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
        prop->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
        return CUDA_ERROR_NOT_SUPPORTED;
    *own = *prop;
    own->win32HandleMetaData = NULL;
    return CUDA_SUCCESS;
}

CUresult wh_cuda_do_cuMemGetAllocationGranularity(struct wh_call *call, size_t *granularity,
                                                  const CUmemAllocationProp *prop,
                                                  CUmemAllocationGranularity_flags option)
{
    CUmemAllocationProp own;
    CUresult result = granularity ? accept(prop, &own) : CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return wh_cuda_driver(call)->cuMemGetAllocationGranularity(granularity, &own, option);
}

CUresult wh_cuda_do_memory_create(struct wh_call *call, size_t size,
                                  const CUmemAllocationProp *prop, uint64_t flags,
                                  wh_cuda_allocation *allocation)
{
    CUmemAllocationProp own;
    CUmemGenericAllocationHandle handle = 0;
    CUresult result = allocation ? accept(prop, &own) : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = wh_cuda_driver(call)->cuMemCreate(&handle, size, &own, flags);
    if (result == CUDA_SUCCESS)
        *allocation = (wh_cuda_allocation)(uintptr_t)handle;
    return result;
}

/* Called without a call, when the last reference goes: wh_cuda_forget_allocation did the work. */
CUresult wh_cuda_do_memory_release(struct wh_call *call, wh_cuda_allocation allocation)
{
    (void)call;
    (void)allocation;
    return CUDA_SUCCESS;
}

void wh_cuda_forget_allocation(const struct wh_cuda_state *state, void *allocation)
{
    state->f.cuMemRelease(handle_of(allocation));
}

CUresult wh_cuda_do_memory_properties(struct wh_call *call, wh_cuda_allocation allocation,
                                      CUmemAllocationProp *prop)
{
    if (!allocation || !prop)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result =
        wh_cuda_driver(call)->cuMemGetAllocationPropertiesFromHandle(prop, handle_of(allocation));
    prop->win32HandleMetaData = NULL;
    return result;
}

/* ---- mapping ---- */

CUresult wh_cuda_do_memory_map(struct wh_call *call, CUdeviceptr address, size_t size,
                               size_t offset, wh_cuda_allocation allocation, uint64_t flags)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range reserved;
    const struct wh_cuda_range chunk = {
        .start = address, .size = size, .chunk = true, .closed = true};
    if (!allocation || !size || !wh_cuda_ranges_find(state->reserved, address, size, &reserved))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = state->f.cuMemMap(address, size, offset, handle_of(allocation), flags);
    if (result != CUDA_SUCCESS || wh_cuda_ranges_add(state->ranges, &chunk))
        return result;
    state->f.cuMemUnmap(address, size);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* The chunks go last: until then the addresses are reserved, and nobody else's. */
CUresult wh_cuda_do_cuMemUnmap(struct wh_call *call, CUdeviceptr address, size_t size)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range chunk;
    if (!wh_cuda_ranges_are_chunks(state->ranges, address, size))
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = state->f.cuMemUnmap(address, size);
    while (result == CUDA_SUCCESS &&
           wh_cuda_ranges_take_chunk(state->ranges, address, size, &chunk))
        ;
    return result;
}

CUresult wh_cuda_do_cuMemSetAccess(struct wh_call *call, CUdeviceptr address, size_t size,
                                   const CUmemAccessDesc *descs, size_t count)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    bool some = false;
    if (!descs || !count || !wh_cuda_ranges_are_chunks(state->ranges, address, size))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        if (descs[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_NOT_SUPPORTED; /* the host that would reach it is not the client's */
        some = some || descs[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
    }
    CUresult result = state->f.cuMemSetAccess(address, size, descs, count);
    if (result == CUDA_SUCCESS && some)
        wh_cuda_ranges_open(state->ranges, address, size, true);
    return result;
}

CUresult wh_cuda_do_cuMemGetAccess(struct wh_call *call, unsigned long long *flags,
                                   const CUmemLocation *location, CUdeviceptr address)
{
    const struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_range chunk;
    if (!flags || !location || !wh_cuda_ranges_find_chunk(state->ranges, address, &chunk))
        return CUDA_ERROR_INVALID_VALUE;
    return wh_cuda_driver(call)->cuMemGetAccess(flags, location, address);
}
