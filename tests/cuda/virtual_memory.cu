/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtual_memory: addresses that are reserved, memory that is made, mapped side by side, given
 * access, grown under a kernel's eyes, moved to another address; and what is refused on the way.
 */
#include <cuda.h>
#include <cuda_runtime.h>

#include "check.h"

enum { CHUNKS = 4 };

__global__ void fill(unsigned *values, size_t count, unsigned first)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count;
         i += (size_t)gridDim.x * blockDim.x)
        values[i] = first + (unsigned)i;
}

static CUmemAllocationProp device_memory(CUdevice device)
{
    CUmemAllocationProp prop = {};
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.location.id = device;
    return prop;
}

static CUmemAccessDesc access_from(CUdevice device, CUmemAccess_flags flags)
{
    CUmemAccessDesc desc = {};
    desc.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    desc.location.id = device;
    desc.flags = flags;
    return desc;
}

static size_t granule;

/* Makes memory, maps it at `address` and lets go of the handle: the mapping keeps it. */
static void map_chunk(CUdeviceptr address, CUdevice device)
{
    CUmemAllocationProp prop = device_memory(device);
    CUmemAccessDesc desc = access_from(device, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    CUmemGenericAllocationHandle handle;

    CHECK(cuMemCreate(&handle, granule, &prop, 0));
    CHECK(cuMemMap(address, granule, 0, handle, 0));
    CHECK(cuMemRelease(handle));
    CHECK(cuMemSetAccess(address, granule, &desc, 1));
}

static bool holds(const unsigned *host, size_t count, unsigned first)
{
    for (size_t i = 0; i < count; i++)
        if (host[i] != first + (unsigned)i)
            return false;
    return true;
}

/* As allocators do that grow a segment by and by. */
static void grow(CUdevice device)
{
    const size_t words = granule / sizeof(unsigned);
    unsigned *host = (unsigned *)malloc(CHUNKS * granule);
    CUdeviceptr base;
    cudaPointerAttributes attributes;

    CHECK(cuMemAddressReserve(&base, 2 * CHUNKS * granule, 0, 0, 0));
    expect("reserved at a multiple of the granularity", base % granule == 0);
    for (int n = 1; n <= CHUNKS; n++) {
        map_chunk(base + (n - 1) * granule, device);
        fill<<<64, 128>>>((unsigned *)base, n * words, n);
        CHECK_LAUNCH();
        CHECK(cudaMemcpy(host, (void *)base, n * granule, cudaMemcpyDeviceToHost));
        printf("%d chunks: ", n);
        expect("one piece of memory", holds(host, n * words, n));
    }
    /* Across a border, of every kind. */
    CUdeviceptr border = base + granule - 512;
    CHECK(cuMemsetD32(border, 7, 256));
    CHECK(cuMemcpyDtoH(host, border, 1024));
    expect("set across a border", host[0] == 7 && host[255] == 7);
    for (int i = 0; i < 256; i++)
        host[i] = 1000 + i;
    CHECK(cuMemcpyHtoD(border, host, 1024));
    CHECK(cuMemcpyDtoD(base + 3 * granule - 512, border, 1024));
    memset(host, 0, 1024);
    CHECK(cuMemcpyDtoH(host, base + 3 * granule - 512, 1024));
    expect("copied across borders", holds(host, 256, 1000));
    SHOW(cuMemcpyDtoH(host, base + CHUNKS * granule - 4, 8));
    SHOW(cuMemsetD8(base + CHUNKS * granule, 0, 1));
    SHOW(cuMemcpy(base + CHUNKS * granule, base, 4));
    CHECK(cudaPointerGetAttributes(&attributes, (void *)(base + granule + 8)));
    expect("the device's memory", attributes.type == cudaMemoryTypeDevice &&
                                      attributes.device == device);
    SHOW(cuMemAddressFree(base, 2 * CHUNKS * granule));
    CHECK(cudaDeviceSynchronize());
    CHECK(cuMemUnmap(base + granule, granule));
    SHOW(cuMemcpyDtoH(host, border, 1024));
    CHECK(cuMemcpyDtoH(host, base + 2 * granule, 4));
    CHECK(cuMemUnmap(base, granule));
    for (int n = 2; n < CHUNKS; n++)
        CHECK(cuMemUnmap(base + n * granule, granule));
    CHECK(cuMemAddressFree(base, 2 * CHUNKS * granule));
    free(host);
}

/* One allocation at two addresses, one after the other and at once. */
static void move(CUdevice device)
{
    CUmemAllocationProp prop = device_memory(device), told;
    CUmemAccessDesc desc = access_from(device, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    CUmemGenericAllocationHandle handle, again, third;
    CUdeviceptr base;
    unsigned word;

    CHECK(cuMemAddressReserve(&base, 4 * granule, granule, 0, 0));
    CHECK(cuMemCreate(&handle, granule, &prop, 0));
    CHECK(cuMemMap(base, granule, 0, handle, 0));
    SHOW(cuMemsetD32(base, 5, 1));
    CHECK(cuMemSetAccess(base, granule, &desc, 1));
    CHECK(cuMemsetD32(base, 5, granule / 4));
    CHECK(cuMemMap(base + 2 * granule, granule, 0, handle, 0));
    CHECK(cuMemSetAccess(base + 2 * granule, granule, &desc, 1));
    CHECK(cuMemsetD32(base + 2 * granule + 64, 6, 1));
    CHECK(cuMemcpyDtoH(&word, base + 64, 4));
    expect("two addresses, the same bytes", word == 6);

    CHECK(cuMemRetainAllocationHandle(&again, (void *)(base + 100)));
    CHECK(cuMemGetAllocationPropertiesFromHandle(&told, again));
    expect("the allocation says what it is", told.type == prop.type &&
                                                 told.location.type == prop.location.type &&
                                                 told.location.id == device);
    CHECK(cuMemRelease(again));
    CHECK(cuMemRelease(handle));
    /* Only the mappings keep it now. */
    CHECK(cuMemRetainAllocationHandle(&third, (void *)(base + 2 * granule)));
    CHECK(cudaDeviceSynchronize());
    CHECK(cuMemUnmap(base, granule));
    CHECK(cuMemUnmap(base + 2 * granule, granule));
    SHOW(cuMemRetainAllocationHandle(&again, (void *)base));
    CHECK(cuMemMap(base + 3 * granule, granule, 0, third, 0));
    CHECK(cuMemSetAccess(base + 3 * granule, granule, &desc, 1));
    CHECK(cuMemcpyDtoH(&word, base + 3 * granule + 64, 4));
    expect("the bytes went along", word == 6);
    CHECK(cudaDeviceSynchronize());
    CHECK(cuMemUnmap(base + 3 * granule, granule));
    CHECK(cuMemRelease(third));
    CHECK(cuMemAddressFree(base, 4 * granule));
}

static void show_access(CUdevice device, CUdeviceptr address)
{
    CUmemLocation where = {};
    unsigned long long flags = 99;

    where.type = CU_MEM_LOCATION_TYPE_DEVICE;
    where.id = device;
    SHOW(cuMemGetAccess(&flags, &where, address));
    printf("access: %llu\n", flags);
}

static void access_rights(CUdevice device)
{
    CUmemAllocationProp prop = device_memory(device);
    CUmemAccessDesc desc = access_from(device, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    CUmemGenericAllocationHandle handle;
    CUdeviceptr base;

    CHECK(cuMemAddressReserve(&base, 2 * granule, 0, 0, 0));
    CHECK(cuMemCreate(&handle, 2 * granule, &prop, 0));
    CHECK(cuMemMap(base, 2 * granule, 0, handle, 0));
    show_access(device, base + granule);
    CHECK(cuMemSetAccess(base, 2 * granule, &desc, 1));
    show_access(device, base + granule);
    SHOW(cuMemUnmap(base, granule));
    CHECK(cuMemUnmap(base, 2 * granule));
    SHOW(cuMemSetAccess(base, 2 * granule, &desc, 1));
    CHECK(cuMemRelease(handle));
    CHECK(cuMemAddressFree(base, 2 * granule));
}

static void refusals(CUdevice device)
{
    CUmemAllocationProp prop = device_memory(device);
    CUmemGenericAllocationHandle handle;
    CUdeviceptr base;
    size_t size;

    SHOW(cuMemAddressReserve(&base, 0, 0, 0, 0));
    SHOW(cuMemAddressReserve(&base, granule + 1, 0, 0, 0));
    SHOW(cuMemCreate(&handle, granule + 1, &prop, 0));
    prop.location.id = 1000;
    SHOW(cuMemCreate(&handle, granule, &prop, 0));
    SHOW(cuMemGetAllocationGranularity(&size, NULL, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    prop = device_memory(device);
    SHOW(cuMemCreate(&handle, 0, &prop, 0));
    CHECK(cuMemAddressReserve(&base, granule, 0, 0, 0));
    CHECK(cuMemCreate(&handle, granule, &prop, 0));
    SHOW(cuMemMap(base + 2 * granule, granule, 0, handle, 0));
    SHOW(cuMemMap(base, 2 * granule, 0, handle, 0));
    CHECK(cuMemRelease(handle));
    SHOW(cuMemUnmap(base, granule));
    SHOW(cuMemFree(base));
    SHOW(cuMemAddressFree(base, 2 * granule));
    CHECK(cuMemAddressFree(base, granule));
    SHOW(cuMemAddressFree(base, granule));
}

int main()
{
    CUmemAllocationProp prop;
    CUdevice device = 0;
    size_t before, after, total;
    int supported = 0;

    CHECK(cudaFree(0));
    CHECK(cuDeviceGetAttribute(&supported,
                               CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device));
    expect("virtual memory management", supported == 1);
    prop = device_memory(device);
    CHECK(cuMemGetAllocationGranularity(&granule, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    expect("a granularity", granule >= 4096 && (granule & (granule - 1)) == 0);
    CHECK(cuMemGetInfo(&before, &total));
    grow(device);
    move(device);
    access_rights(device);
    refusals(device);
    CHECK(cuMemGetInfo(&after, &total));
    expect("all memory came back", after >= before);
    return verdict();
}
