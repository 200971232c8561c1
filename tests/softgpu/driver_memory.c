/* SPDX-License-Identifier: Apache-2.0 */
/* The software device's driver: memory of all kinds, copies and sets of all shapes, arrays, pools.
 */
#include "driver.h"

#include <stdio.h>

static void fill(uint8_t *bytes, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

static void test_linear(void **state)
{
    (void)state;
    size_t before, after, total;
    ok(cuMemGetInfo_v2(&before, &total));
    CUdeviceptr pointer, base;
    size_t size;
    fails(cuMemAlloc_v2(&pointer, 0), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemAlloc_v2(NULL, 16), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemAlloc_v2(&pointer, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
    fails(cuMemAlloc_v2(&pointer, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    ok(cuMemAlloc_v2(&pointer, 10 << 20));
    assert_int_equal(pointer % 256, 0);
    ok(cuMemGetInfo_v2(&after, &total));
    assert_true(before - after >= 10 << 20);
    ok(cuMemGetAddressRange_v2(&base, &size, pointer + 1000));
    assert_int_equal(base, pointer);
    assert_int_equal(size, 10 << 20);
    fails(cuMemGetAddressRange_v2(&base, &size, 64), CUDA_ERROR_NOT_FOUND);
    fails(cuMemFree_v2(pointer + 256), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(pointer));
    fails(cuMemFree_v2(pointer), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(0));
    ok(cuMemGetInfo_v2(&after, &total));
    assert_int_equal(before, after);
}

/* Allocations that come and go do not overlap and are all given back. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 200 };
    static struct {
        CUdeviceptr pointer;
        size_t size;
    } live[N];
    memset(live, 0, sizeof(live));
    size_t before, after, total;
    ok(cuMemGetInfo_v2(&before, &total));
    unsigned seed = 1;
    for (int i = 0; i < 4000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned slot = seed >> 8 & 0xff;
        if (slot >= N)
            continue;
        if (live[slot].pointer) {
            uint8_t last, first;
            ok(cuMemcpyDtoH_v2(&first, live[slot].pointer, 1));
            ok(cuMemcpyDtoH_v2(&last, live[slot].pointer + live[slot].size - 1, 1));
            assert_int_equal(first, (uint8_t)slot);
            assert_int_equal(last, (uint8_t)slot);
            ok(cuMemFree_v2(live[slot].pointer));
            live[slot].pointer = 0;
            continue;
        }
        live[slot].size = 1 + (seed >> 12) % 5000;
        ok(cuMemAlloc_v2(&live[slot].pointer, live[slot].size));
        ok(cuMemsetD8_v2(live[slot].pointer, (unsigned char)slot, live[slot].size));
    }
    for (int i = 0; i < N; i++)
        ok(cuMemFree_v2(live[i].pointer));
    ok(cuMemGetInfo_v2(&after, &total));
    assert_int_equal(before, after);
}

static void test_rows(void **state)
{
    (void)state;
    static uint8_t in[100000], out[100000];
    CUdeviceptr a, b;
    fill(in, sizeof(in), 3);
    ok(cuMemAlloc_v2(&a, sizeof(in)));
    ok(cuMemAlloc_v2(&b, sizeof(in)));
    ok(cuMemcpyHtoD_v2(a, in, sizeof(in)));
    ok(cuMemcpyDtoD_v2(b, a, sizeof(in)));
    ok(cuMemcpyDtoH_v2(out, b, sizeof(in)));
    assert_memory_equal(in, out, sizeof(in));
    memset(out, 0, sizeof(out));
    ok(cuMemcpy((CUdeviceptr)(uintptr_t)out, a, sizeof(in)));
    assert_memory_equal(in, out, sizeof(in));
    fails(cuMemcpyHtoD_v2(a + 1, in, sizeof(in)), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemcpyDtoH_v2(out, a, sizeof(in) + 1), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemcpyHtoD_v2(16, in, 4), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemcpyHtoD_v2(a, in, 0));
    ok(cuMemFree_v2(a));
    fails(cuMemcpyDtoH_v2(out, a, 4), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(b));
}

/* Ordinary host memory is the caller's again when an asynchronous copy returns. */
static void test_staging(void **state)
{
    (void)state;
    CUstream stream;
    CUdeviceptr pointer;
    struct driver_gate gate;
    uint32_t value = 17, out = 0;
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ok(cuMemAlloc_v2(&pointer, 4));
    driver_gate_close(&gate, stream);
    ok(cuMemcpyHtoDAsync_v2(pointer, &value, 4, stream));
    value = 99;
    fails(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    driver_gate_open(&gate);
    ok(cuMemcpyDtoHAsync_v2(&out, pointer, 4, stream));
    assert_int_equal(out, 17); /* written: the memory is not pinned */
    driver_gate_free(&gate);
    ok(cuMemFree_v2(pointer));
    ok(cuStreamDestroy_v2(stream));
}

static void test_pitched(void **state)
{
    (void)state;
    enum { W = 100, H = 20 };
    uint8_t in[H][W], out[H][W + 9];
    CUdeviceptr pointer;
    size_t pitch;
    fails(cuMemAllocPitch_v2(&pointer, &pitch, W, H, 3), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemAllocPitch_v2(&pointer, &pitch, W, H, 4));
    assert_true(pitch >= W && pitch % 256 == 0);
    fill(&in[0][0], sizeof(in), 5);
    memset(out, 0xee, sizeof(out));
    CUDA_MEMCPY2D_v2 copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                             .srcHost = in,
                             .srcPitch = W,
                             .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                             .dstDevice = pointer,
                             .dstPitch = pitch,
                             .WidthInBytes = W,
                             .Height = H};
    ok(cuMemcpy2D_v2(&copy));
    /* A window: columns 10 to 59, rows 5 to 14, to (3, 2). */
    CUDA_MEMCPY2D_v2 window = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                               .srcDevice = pointer,
                               .srcPitch = pitch,
                               .srcXInBytes = 10,
                               .srcY = 5,
                               .dstMemoryType = CU_MEMORYTYPE_HOST,
                               .dstHost = out,
                               .dstPitch = W + 9,
                               .dstXInBytes = 3,
                               .dstY = 2,
                               .WidthInBytes = 50,
                               .Height = 10};
    ok(cuMemcpy2D_v2(&window));
    for (size_t y = 0; y < H; y++)
        for (size_t x = 0; x < W + 9; x++) {
            bool inside = x >= 3 && x < 53 && y >= 2 && y < 12;
            assert_int_equal(out[y][x], inside ? in[y + 3][x + 7] : 0xee);
        }
    uint8_t whole[H * 256] = {0};
    window.dstHost = whole;
    window.dstPitch = 0; /* rows without gaps */
    window.dstXInBytes = window.dstY = 0;
    ok(cuMemcpy2D_v2(&window));
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(whole[i], in[5 + i / 50][10 + i % 50]);
    copy.dstPitch = W - 1;
    fails(cuMemcpy2D_v2(&copy), CUDA_ERROR_INVALID_VALUE);
    copy.dstPitch = pitch;
    copy.dstY = 1;
    fails(cuMemcpy2D_v2(&copy), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(pointer));
}

static void test_3d(void **state)
{
    (void)state;
    enum { W = 16, H = 6, D = 4 };
    uint8_t in[D][H][W], out[D][H][W] = {0};
    fill(&in[0][0][0], sizeof(in), 9);
    CUdeviceptr pointer;
    CUarray array;
    ok(cuMemAlloc_v2(&pointer, sizeof(in)));
    ok(cuMemcpyHtoD_v2(pointer, in, sizeof(in)));
    const CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor = {.Width = W / 4,
                                                   .Height = H,
                                                   .Depth = D,
                                                   .Format = CU_AD_FORMAT_UNSIGNED_INT8,
                                                   .NumChannels = 4};
    ok(cuArray3DCreate_v2(&array, &descriptor));
    CUDA_MEMCPY3D_v2 copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                             .srcDevice = pointer,
                             .srcPitch = W,
                             .srcHeight = H,
                             .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                             .dstArray = array,
                             .WidthInBytes = W,
                             .Height = H,
                             .Depth = D};
    ok(cuMemcpy3D_v2(&copy));
    CUDA_MEMCPY3D_v2 back = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                             .srcArray = array,
                             .srcXInBytes = 4,
                             .srcY = 1,
                             .srcZ = 1,
                             .dstMemoryType = CU_MEMORYTYPE_HOST,
                             .dstHost = out,
                             .dstPitch = W,
                             .dstHeight = H,
                             .WidthInBytes = 8,
                             .Height = 3,
                             .Depth = 2};
    ok(cuMemcpy3D_v2(&back));
    for (size_t z = 0; z < D; z++)
        for (size_t y = 0; y < H; y++)
            for (size_t x = 0; x < W; x++)
                assert_int_equal(out[z][y][x],
                                 z < 2 && y < 3 && x < 8 ? in[z + 1][y + 1][x + 4] : 0);
    back.srcZ = 3;
    fails(cuMemcpy3D_v2(&back), CUDA_ERROR_INVALID_VALUE);
    CUDA_ARRAY3D_DESCRIPTOR_v2 told;
    ok(cuArray3DGetDescriptor_v2(&told, array));
    assert_int_equal(told.Width, W / 4);
    assert_int_equal(told.Depth, D);
    ok(cuArrayDestroy(array));
    fails(cuArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
    ok(cuMemFree_v2(pointer));
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* One side of a random copy: 24 bytes by 12 rows by 5 slices, with room to move the box in. */
enum { ROW = 24, ROWS = 12, SLICES = 5, BYTES = ROW * ROWS * SLICES };

struct side {
    uint8_t *host; /* what the memory must hold */
    CUmemorytype type;
    CUdeviceptr device;
    CUarray array;
};

static void check_side(const struct side *side)
{
    uint8_t got[BYTES];
    CUDA_MEMCPY3D_v2 copy = {
        .srcMemoryType = side->type,
        .srcHost = side->type == CU_MEMORYTYPE_HOST ? (void *)(uintptr_t)side->device : NULL,
        .srcDevice = side->device,
        .srcArray = side->array,
        .srcPitch = ROW,
        .srcHeight = ROWS,
        .dstMemoryType = CU_MEMORYTYPE_HOST,
        .dstHost = got,
        .dstPitch = ROW,
        .dstHeight = ROWS,
        .WidthInBytes = ROW,
        .Height = ROWS,
        .Depth = SLICES};
    ok(cuMemcpy3D_v2(&copy));
    assert_memory_equal(got, side->host, BYTES);
}

static void copy_in_model(uint8_t *to, const uint8_t *from, const CUDA_MEMCPY3D_v2 *copy)
{
    for (size_t z = 0; z < copy->Depth; z++)
        for (size_t y = 0; y < copy->Height; y++)
            for (size_t x = 0; x < copy->WidthInBytes; x++)
                to[((copy->dstZ + z) * ROWS + copy->dstY + y) * ROW + copy->dstXInBytes + x] =
                    from[((copy->srcZ + z) * ROWS + copy->srcY + y) * ROW + copy->srcXInBytes + x];
}

static void copy_random(struct side *to, struct side *from, uint32_t *seed, CUstream stream)
{
    CUDA_MEMCPY3D_v2 copy = {.srcMemoryType = from->type,
                             .srcHost = (void *)(uintptr_t)from->device,
                             .srcDevice = from->device,
                             .srcArray = from->array,
                             .srcPitch = ROW,
                             .srcHeight = ROWS,
                             .dstMemoryType = to->type,
                             .dstHost = (void *)(uintptr_t)to->device,
                             .dstDevice = to->device,
                             .dstArray = to->array,
                             .dstPitch = ROW,
                             .dstHeight = ROWS};
    copy.WidthInBytes = 4 * (1 + next_random(seed) % (ROW / 4));
    copy.Height = 1 + next_random(seed) % ROWS;
    copy.Depth = 1 + next_random(seed) % SLICES;
    copy.srcXInBytes = 4 * (next_random(seed) % ((ROW - copy.WidthInBytes) / 4 + 1));
    copy.dstXInBytes = 4 * (next_random(seed) % ((ROW - copy.WidthInBytes) / 4 + 1));
    copy.srcY = next_random(seed) % (ROWS - copy.Height + 1);
    copy.dstY = next_random(seed) % (ROWS - copy.Height + 1);
    copy.srcZ = next_random(seed) % (SLICES - copy.Depth + 1);
    copy.dstZ = next_random(seed) % (SLICES - copy.Depth + 1);
    copy_in_model(to->host, from->host, &copy);
    ok(cuMemcpy3DAsync_v2(&copy, stream));
}

/* Boxes between memory of every kind, against a model. */
static void test_boxes(void **state)
{
    (void)state;
    enum { SIDES = 4 };
    static uint8_t models[SIDES][BYTES], plain[BYTES];
    struct side sides[SIDES] = {{.type = CU_MEMORYTYPE_HOST, .device = (uintptr_t)plain},
                                {.type = CU_MEMORYTYPE_HOST},
                                {.type = CU_MEMORYTYPE_DEVICE},
                                {.type = CU_MEMORYTYPE_ARRAY}};
    CUstream stream;
    void *pinned;
    uint32_t seed = 7;
    const CUDA_ARRAY3D_DESCRIPTOR_v2 descriptor = {.Width = ROW / 4,
                                                   .Height = ROWS,
                                                   .Depth = SLICES,
                                                   .Format = CU_AD_FORMAT_FLOAT,
                                                   .NumChannels = 1};
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    ok(cuMemHostAlloc(&pinned, BYTES, 0));
    sides[1].device = (uintptr_t)pinned;
    ok(cuMemAlloc_v2(&sides[2].device, BYTES));
    ok(cuArray3DCreate_v2(&sides[3].array, &descriptor));
    for (int i = 0; i < SIDES; i++)
        sides[i].host = models[i];
    fill(plain, BYTES, 1);
    memcpy(models[0], plain, BYTES);
    memset(pinned, 0, BYTES);
    ok(cuMemsetD8_v2(sides[2].device, 0, BYTES));
    const uint8_t zero[BYTES] = {0};
    CUDA_MEMCPY3D_v2 clear = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                              .srcHost = zero,
                              .srcPitch = ROW,
                              .srcHeight = ROWS,
                              .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                              .dstArray = sides[3].array,
                              .WidthInBytes = ROW,
                              .Height = ROWS,
                              .Depth = SLICES};
    ok(cuMemcpy3D_v2(&clear));
    for (int i = 0; i < 400; i++) {
        uint32_t to = next_random(&seed) % SIDES, from = next_random(&seed) % SIDES;
        if (to != from)
            copy_random(&sides[to], &sides[from], &seed, stream);
    }
    ok(cuStreamSynchronize(stream));
    for (int i = 0; i < SIDES; i++)
        check_side(&sides[i]);
    ok(cuMemFreeHost(pinned));
    ok(cuMemFree_v2(sides[2].device));
    ok(cuArrayDestroy(sides[3].array));
    ok(cuStreamDestroy_v2(stream));
}

static void test_array_rows(void **state)
{
    (void)state;
    uint32_t in[64], out[64] = {0};
    for (uint32_t i = 0; i < 64; i++)
        in[i] = i * 3;
    CUarray one, two;
    CUdeviceptr pointer;
    const CUDA_ARRAY_DESCRIPTOR_v2 descriptor = {
        .Width = 64, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 1};
    ok(cuArrayCreate_v2(&one, &descriptor));
    ok(cuArrayCreate_v2(&two, &descriptor));
    ok(cuMemAlloc_v2(&pointer, sizeof(in)));
    ok(cuMemcpyHtoA_v2(one, 0, in, sizeof(in)));
    ok(cuMemcpyAtoA_v2(two, 16, one, 32, 64));
    ok(cuMemcpyAtoD_v2(pointer, two, 16, 64));
    ok(cuMemcpyDtoH_v2(out, pointer, 64));
    assert_memory_equal(out, &in[8], 64);
    ok(cuMemcpyAtoH_v2(out, one, 0, sizeof(out)));
    assert_memory_equal(out, in, sizeof(in));
    fails(cuMemcpyAtoH_v2(out, one, 4, sizeof(out)), CUDA_ERROR_INVALID_VALUE);
    const CUDA_ARRAY_DESCRIPTOR_v2 bad = {
        .Width = 64, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 3};
    CUarray none;
    fails(cuArrayCreate_v2(&none, &bad), CUDA_ERROR_INVALID_VALUE);
    ok(cuArrayDestroy(one));
    ok(cuArrayDestroy(two));
    ok(cuMemFree_v2(pointer));
}

static void test_sets(void **state)
{
    (void)state;
    uint8_t out[4096];
    CUdeviceptr pointer;
    ok(cuMemAlloc_v2(&pointer, sizeof(out)));
    ok(cuMemsetD8_v2(pointer, 0x11, sizeof(out)));
    ok(cuMemsetD16_v2(pointer + 2, 0xabcd, 3));
    ok(cuMemsetD32_v2(pointer + 16, 0x01020304, 2));
    ok(cuMemsetD2D8_v2(pointer + 1024, 64, 0x77, 10, 3));
    ok(cuMemsetD2D32Async(pointer + 2048, 64, 0xa0b0c0d0, 2, 2, NULL));
    ok(cuMemcpyDtoH_v2(out, pointer, sizeof(out)));
    const uint8_t first[26] = {0x11, 0x11, 0xcd, 0xab, 0xcd, 0xab, 0xcd, 0xab, 0x11,
                               0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x04, 0x03,
                               0x02, 0x01, 0x04, 0x03, 0x02, 0x01, 0x11, 0x11};
    assert_memory_equal(out, first, sizeof(first));
    for (size_t i = 1024; i < 1024 + 192; i++)
        assert_int_equal(out[i], (i - 1024) % 64 < 10 ? 0x77 : 0x11);
    assert_int_equal(out[2048 + 64 + 7], 0xa0);
    assert_int_equal(out[2048 + 64 + 8], 0x11);
    fails(cuMemsetD32_v2(pointer + 2, 1, 1), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemsetD16_v2(pointer + 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemsetD8_v2(pointer, 1, sizeof(out) + 1), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemsetD32_v2(pointer, 1, SIZE_MAX / 2), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemFree_v2(pointer));
}

static void test_host(void **state)
{
    (void)state;
    void *pinned;
    CUdeviceptr device;
    unsigned flags;
    fails(cuMemHostAlloc(&pinned, 0, 0), CUDA_ERROR_INVALID_VALUE);
    fails(cuMemHostAlloc(&pinned, 16, 0x100), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemHostAlloc(&pinned, 1 << 20, CU_MEMHOSTALLOC_PORTABLE));
    ok(cuMemHostGetDevicePointer_v2(&device, (char *)pinned + 12, 0));
    assert_int_equal(device, (uintptr_t)pinned + 12);
    ok(cuMemHostGetFlags(&flags, pinned));
    assert_true(flags & CU_MEMHOSTALLOC_PORTABLE);
    ok(cuMemsetD32_v2((CUdeviceptr)(uintptr_t)pinned, 0x55667788, 4));
    assert_int_equal(((uint32_t *)pinned)[3], 0x55667788);
    ok(cuMemFreeHost(pinned));
    fails(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);

    char *own = aligned_alloc(4096, 8192);
    assert_non_null(own);
    ok(cuMemHostRegister_v2(own, 8192, CU_MEMHOSTREGISTER_DEVICEMAP));
    fails(cuMemHostRegister_v2(own + 4096, 4096, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    ok(cuMemHostGetDevicePointer_v2(&device, own, 0));
    assert_int_equal(device, (uintptr_t)own);
    ok(cuMemHostUnregister(own));
    fails(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    free(own);
}

static void test_managed(void **state)
{
    (void)state;
    CUdeviceptr pointer;
    CUmodule module;
    uint32_t value = 31;
    fails(cuMemAllocManaged(&pointer, 16, 0), CUDA_ERROR_INVALID_VALUE);
    ok(cuMemAllocManaged(&pointer, 4096, CU_MEM_ATTACH_GLOBAL));
    CUfunction store = driver_function(&module, "store");
    ok(driver_launch(store, 1, 1, NULL, (void *[]){&pointer, &value}));
    ok(cuCtxSynchronize());
    assert_int_equal(*(uint32_t *)(uintptr_t)pointer, 31);
    unsigned managed;
    ok(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, pointer));
    assert_int_equal(managed & 0xff, 1);
    ok(cuMemFree_v2(pointer));
    ok(cuModuleUnload(module));
}

static void test_pointers(void **state)
{
    CUdeviceptr device, start;
    void *pinned;
    CUmemorytype type;
    CUcontext context;
    int ordinal, local;
    size_t size;
    ok(cuMemAlloc_v2(&device, 1000));
    ok(cuMemAllocHost_v2(&pinned, 1000));
    ok(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device + 5));
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    ok(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)pinned));
    assert_int_equal(type, CU_MEMORYTYPE_HOST);
    ok(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, device));
    assert_ptr_equal(context, *state);
    fails(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)&local),
          CUDA_ERROR_INVALID_VALUE);
    CUpointer_attribute asked[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                   CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                   CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                   CU_POINTER_ATTRIBUTE_RANGE_SIZE, CU_POINTER_ATTRIBUTE_CONTEXT};
    void *answers[] = {&type, &ordinal, &start, &size, &context};
    ok(cuPointerGetAttributes(5, asked, answers, device + 999));
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    assert_int_equal(ordinal, 0);
    assert_int_equal(start, device);
    assert_int_equal(size, 1000);
    ok(cuPointerGetAttributes(5, asked, answers, (uintptr_t)&local));
    assert_int_equal(type, 0);
    assert_null(context);
    ok(cuMemFreeHost(pinned));
    ok(cuMemFree_v2(device));
}

static void test_pools(void **state)
{
    (void)state;
    CUmemoryPool pool, current;
    CUstream stream;
    CUdeviceptr a, b;
    uint64_t bytes, keep = UINT64_MAX;
    ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    const CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    ok(cuMemPoolCreate(&pool, &properties));
    ok(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
    ok(cuMemAllocFromPoolAsync(&a, 3 << 20, pool, stream));
    ok(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &bytes));
    assert_true(bytes >= 3 << 20);
    ok(cuMemsetD8Async(a, 1, 3 << 20, stream));
    ok(cuMemFreeAsync(a, stream));
    fails(cuMemFreeAsync(a, stream), CUDA_ERROR_INVALID_VALUE);
    ok(cuStreamSynchronize(stream));
    ok(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &bytes));
    assert_int_equal(bytes, 0);
    ok(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &bytes));
    assert_true(bytes >= 3 << 20);
    ok(cuMemAllocFromPoolAsync(&b, 2 << 20, pool, stream));
    ok(cuMemPoolTrimTo(pool, 0));
    ok(cuMemFreeAsync(b, stream));
    ok(cuStreamSynchronize(stream));
    ok(cuMemPoolTrimTo(pool, 0));
    ok(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &bytes));
    assert_int_equal(bytes, 0);
    ok(cuDeviceSetMemPool(0, pool));
    ok(cuDeviceGetMemPool(&current, 0));
    assert_ptr_equal(current, pool);
    ok(cuMemAllocAsync(&a, 100, stream));
    ok(cuPointerGetAttribute(&current, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a));
    assert_ptr_equal(current, pool);
    ok(cuMemFree_v2(a));
    ok(cuMemPoolDestroy(pool));
    ok(cuDeviceGetDefaultMemPool(&pool, 0));
    ok(cuDeviceGetMemPool(&current, 0));
    assert_ptr_equal(current, pool);
    ok(cuStreamDestroy_v2(stream));
}

/* What a pool holds back is there for an allocation that needs it. */
static void test_pool_pressure(void **state)
{
    (void)state;
    CUmemoryPool pool;
    CUdeviceptr a, b;
    size_t unused, total;
    uint64_t keep = UINT64_MAX, none = 0;
    ok(cuDeviceGetDefaultMemPool(&pool, 0));
    ok(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
    ok(cuMemGetInfo_v2(&unused, &total));
    ok(cuMemAllocAsync(&a, unused / 4 * 3, NULL));
    ok(cuMemFreeAsync(a, NULL));
    ok(cuCtxSynchronize());
    ok(cuMemAlloc_v2(&b, unused / 2));
    ok(cuMemFree_v2(b));
    ok(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &none));
    ok(cuMemPoolTrimTo(pool, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_linear),  driver_test(test_many),          driver_test(test_rows),
        driver_test(test_staging), driver_test(test_pitched),       driver_test(test_3d),
        driver_test(test_boxes),   driver_test(test_array_rows),    driver_test(test_sets),
        driver_test(test_host),    driver_test(test_managed),       driver_test(test_pointers),
        driver_test(test_pools),   driver_test(test_pool_pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
