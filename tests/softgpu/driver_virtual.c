/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's virtual memory management, also what only a driver's user sees of it:
 * descriptors that stand for memory. */
#include "driver.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GRANULE ((size_t)2 << 20)

static CUmemAllocationProp prop_of(CUmemAllocationHandleType types)
{
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .requestedHandleTypes = types,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
}

static const CUmemAccessDesc all = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static void map(CUdeviceptr address, size_t size, CUmemGenericAllocationHandle handle)
{
    ok(cuMemMap(address, size, 0, handle, 0));
    ok(cuMemSetAccess(address, size, &all, 1));
}

static void test_addresses(void **state)
{
    (void)state;
    CUdeviceptr a, b, c;
    fails(cuMemAddressReserve(&a, GRANULE, 3 * GRANULE, 0, 0), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemAddressReserve(&a, GRANULE, 0, 0, 1), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemAddressReserve(&a, (size_t)1 << 60, 0, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    ok(cuMemAddressReserve(&a, GRANULE, 64 * GRANULE, 0, 0));
    assert_int_equal(a % (64 * GRANULE), 0);
    ok(cuMemAddressReserve(&b, 3 * GRANULE, 0, 0x400000000000, 0));
    assert_int_equal(b, 0x400000000000);
    /* A wish that is taken is not granted; neither is one for our own code. */
    ok(cuMemAddressReserve(&c, GRANULE, 0, b + GRANULE, 0));
    assert_true(c < b || c >= b + 3 * GRANULE);
    ok(cuMemAddressFree(c, GRANULE));
    CUdeviceptr here = (CUdeviceptr)(uintptr_t)&test_addresses & ~(GRANULE - 1);
    ok(cuMemAddressReserve(&c, GRANULE, 0, here, 0));
    assert_int_not_equal(c, here);
    fails(cuMemAddressFree(a, 2 * GRANULE), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemAddressFree(b, GRANULE), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemAddressFree(a, GRANULE));
    ok(cuMemAddressFree(b, 3 * GRANULE));
    ok(cuMemAddressFree(c, GRANULE));
}

/* All of the device's memory, exportable or not, and given back. */
static void test_accounts(void **state)
{
    (void)state;
    size_t before, after, total;
    CUmemGenericAllocationHandle handles[3];
    for (unsigned types = 0; types < 2; types++) {
        const CUmemAllocationProp prop = prop_of(types);
        ok(cuMemGetInfo_v2(&before, &total));
        size_t half = before / 2 / GRANULE * GRANULE;
        ok(cuMemCreate(&handles[0], half, &prop, 0));
        fails(cuMemCreate(&handles[1], half + 2 * GRANULE, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
        ok(cuMemGetInfo_v2(&after, &total));
        assert_int_equal(before - after, half);
        ok(cuMemRelease(handles[0]));
        fails(cuMemRelease(handles[0]), CUDA_ERROR_INVALID_VALUE);
        ok(cuMemGetInfo_v2(&after, &total));
        assert_int_equal(before, after);
    }
}

static void test_descriptors(void **state)
{
    (void)state;
    const CUmemAllocationProp prop = prop_of(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    const CUmemAllocationProp plain = prop_of(CU_MEM_HANDLE_TYPE_NONE);
    CUmemAllocationProp told;
    CUmemGenericAllocationHandle handle, other;
    CUdeviceptr base;
    uint32_t word = 0;
    int fd = -1;
    ok(cuMemAddressReserve(&base, 4 * GRANULE, 0, 0, 0));
    ok(cuMemCreate(&handle, GRANULE, &plain, 0));
    fails(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
          CUDA_ERROR_INVALID_VALUE);
    ok(cuMemRelease(handle));
    ok(cuMemCreate(&handle, 2 * GRANULE, &prop, 0));
    fails(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_FABRIC, 0),
          CUDA_ERROR_INVALID_VALUE);
    ok(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    assert_int_not_equal(ftruncate(fd, 0), 0); /* nobody takes the memory away from under it */
    ok(cuMemImportFromShareableHandle(&other, (void *)(intptr_t)fd,
                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    close(fd);
    ok(cuMemGetAllocationPropertiesFromHandle(&told, other));
    assert_int_equal(told.requestedHandleTypes, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    map(base, 2 * GRANULE, handle);
    map(base + 2 * GRANULE, 2 * GRANULE, other);
    ok(cuMemRelease(handle));
    ok(cuMemRelease(other));
    ok(cuMemsetD32_v2(base + GRANULE, 77, 4));
    ok(cuMemUnmap(base, 2 * GRANULE));
    ok(cuMemcpyDtoH_v2(&word, base + 3 * GRANULE, 4));
    assert_int_equal(word, 77);
    ok(cuMemUnmap(base + 2 * GRANULE, 2 * GRANULE));
    ok(cuMemAddressFree(base, 4 * GRANULE));
}

/* Files that are not ours, or say what is not so. */
static void test_false_descriptors(void **state)
{
    (void)state;
    CUmemGenericAllocationHandle handle;
    int fds[] = {-1, 0, open("/dev/zero", O_RDWR | O_CLOEXEC),
                 memfd_create("other", MFD_ALLOW_SEALING),
                 memfd_create("short", MFD_ALLOW_SEALING)};
    assert_int_equal(ftruncate(fds[3], (off_t)GRANULE + 4096), 0);
    assert_int_equal(fcntl(fds[3], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
        fails(cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)fds[i],
                                             CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
              CUDA_ERROR_INVALID_VALUE);
        if (fds[i] > 0)
            close(fds[i]);
    }
}

/* Unmapping waits for the kernel that may use the memory. */
static void test_unmap_waits(void **state)
{
    (void)state;
    const CUmemAllocationProp prop = prop_of(CU_MEM_HANDLE_TYPE_NONE);
    CUmemGenericAllocationHandle handle;
    CUdeviceptr base;
    CUstream stream;
    static uint32_t words[1024];
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ok(cuMemAddressReserve(&base, GRANULE, 0, 0, 0));
    ok(cuMemCreate(&handle, GRANULE, &prop, 0));
    map(base, GRANULE, handle);
    for (int i = 0; i < 200; i++)
        ok(cuMemsetD32Async(base, (unsigned)i, GRANULE / 4, stream));
    ok(cuMemUnmap(base, GRANULE));
    ok(cuStreamQuery(stream));
    map(base, GRANULE, handle);
    ok(cuMemcpyDtoH_v2(words, base + GRANULE - sizeof(words), sizeof(words)));
    for (size_t i = 0; i < 1024; i++)
        assert_int_equal(words[i], 199);
    ok(cuMemUnmap(base, GRANULE));
    ok(cuMemRelease(handle));
    ok(cuMemAddressFree(base, GRANULE));
    ok(cuStreamDestroy_v2(stream));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_addresses),   driver_test(test_accounts),
        driver_test(test_descriptors), driver_test(test_false_descriptors),
        driver_test(test_unmap_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
