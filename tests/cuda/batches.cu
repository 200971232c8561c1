/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batches: many copies, boxes and prefetches in one call each, in stream order; and functions that
 * a program cannot have here, which say so.
 */
#include <cuda.h>
#include <cuda_runtime.h>

#include "check.h"

enum { WIDTH = 20, HEIGHT = 6, DEPTH = 3, COUNT = WIDTH * HEIGHT * DEPTH };

static CUstream stream;

static void rows()
{
    static int host[3][100], back[3][100];
    CUdeviceptr device[3], to[3], from[3];
    size_t sizes[3], start = 0;
    CUmemcpyAttributes attributes = {};

    attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100; k++)
            host[i][k] = 1000 * i + k;
        CHECK(cuMemAlloc(&device[i], sizeof(host[i])));
        to[i] = device[i];
        from[i] = (CUdeviceptr)host[i];
        sizes[i] = sizeof(host[i]) - 4 * i;
    }
    CHECK(cuMemcpyBatchAsync(to, from, sizes, 3, &attributes, &start, 1, stream));
    for (int i = 0; i < 3; i++) {
        to[i] = (CUdeviceptr)back[i];
        from[i] = device[i];
    }
    CHECK(cuMemcpyBatchAsync(to, from, sizes, 3, &attributes, &start, 1, stream));
    CHECK(cuStreamSynchronize(stream));
    bool ok = true;
    for (int i = 0; i < 3; i++)
        ok = ok && memcmp(host[i], back[i], sizes[i]) == 0;
    expect("rows there and back", ok);
    SHOW(cuMemcpyBatchAsync(to, from, sizes, 0, &attributes, &start, 1, stream));
    start = 1;
    SHOW(cuMemcpyBatchAsync(to, from, sizes, 3, &attributes, &start, 1, stream));
    for (int i = 0; i < 3; i++)
        CHECK(cuMemFree(device[i]));
}

static CUmemcpy3DOperand memory(const void *address, size_t row, size_t layer)
{
    CUmemcpy3DOperand operand = {};

    operand.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
    operand.op.ptr.ptr = (CUdeviceptr)address;
    operand.op.ptr.rowLength = row;
    operand.op.ptr.layerHeight = layer;
    return operand;
}

static CUmemcpy3DOperand in_array(CUarray array, size_t x, size_t y, size_t z)
{
    CUmemcpy3DOperand operand = {};

    operand.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
    operand.op.array.array = array;
    operand.op.array.offset.x = x;
    operand.op.array.offset.y = y;
    operand.op.array.offset.z = z;
    return operand;
}

static CUDA_MEMCPY3D_BATCH_OP copy(CUmemcpy3DOperand to, CUmemcpy3DOperand from, size_t width,
                                   size_t height, size_t depth)
{
    CUDA_MEMCPY3D_BATCH_OP op = {};

    op.dst = to;
    op.src = from;
    op.extent.width = width;
    op.extent.height = height;
    op.extent.depth = depth;
    op.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    return op;
}

/* Extents count an array's elements; without an array, bytes. */
static void boxes()
{
    static float host[COUNT], back[COUNT], part[4 * 3 * 2];
    CUDA_ARRAY3D_DESCRIPTOR shape = {};
    CUarray array;
    CUdeviceptr device;

    shape.Width = WIDTH;
    shape.Height = HEIGHT;
    shape.Depth = DEPTH;
    shape.Format = CU_AD_FORMAT_FLOAT;
    shape.NumChannels = 1;
    for (int i = 0; i < COUNT; i++)
        host[i] = 0.5f * i;
    CHECK(cuArray3DCreate(&array, &shape));
    CHECK(cuMemAlloc(&device, sizeof(host)));
    CUDA_MEMCPY3D_BATCH_OP ops[] = {
        copy(in_array(array, 0, 0, 0), memory(host, WIDTH, HEIGHT), WIDTH, HEIGHT, DEPTH),
        copy(memory((void *)device, 0, 0), in_array(array, 0, 0, 0), WIDTH, HEIGHT, DEPTH),
        copy(memory(back, 0, 0), memory((void *)device, 0, 0), sizeof(host), 1, 1),
        copy(memory(part, 4, 3), in_array(array, 5, 2, 1), 4, 3, 2),
    };
    CHECK(cuMemcpy3DBatchAsync(4, ops, 0, stream));
    CHECK(cuStreamSynchronize(stream));
    expect("boxes through an array", memcmp(host, back, sizeof(host)) == 0);
    bool ok = true;
    for (int z = 0; z < 2; z++)
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 4; x++)
                ok = ok &&
                     part[(z * 3 + y) * 4 + x] == host[((z + 1) * HEIGHT + y + 2) * WIDTH + x + 5];
    expect("a part of it", ok);
    ops[0].extent.width = 0;
    SHOW(cuMemcpy3DBatchAsync(1, ops, 0, stream));
    SHOW(cuMemcpy3DBatchAsync(0, ops, 0, stream));
    SHOW(cuMemcpy3DBatchAsync(1, ops, 1, stream));
    CHECK(cuMemFree(device));
    CHECK(cuArrayDestroy(array));
}

static void managed()
{
    CUdeviceptr addresses[2];
    size_t sizes[] = {8192, 4096}, starts[] = {0, 1};
    CUmemLocation places[2] = {};
    int last[2] = {-5, -5};

    places[0].type = CU_MEM_LOCATION_TYPE_DEVICE;
    places[1].type = CU_MEM_LOCATION_TYPE_HOST;
    for (int i = 0; i < 2; i++) {
        CHECK(cuMemAllocManaged(&addresses[i], 8192, CU_MEM_ATTACH_GLOBAL));
        memset((void *)addresses[i], i + 1, 8192);
    }
    CHECK(cuMemPrefetchBatchAsync(addresses, sizes, 2, places, starts, 2, 0, stream));
    CHECK(cuStreamSynchronize(stream));
    for (int i = 0; i < 2; i++)
        CHECK(cuMemRangeGetAttribute(&last[i], sizeof(int),
                                     CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, addresses[i],
                                     sizes[i]));
    printf("prefetched to %d, %d\n", last[0], last[1]);
    expect("the bytes stay", *(char *)addresses[0] == 1 && *(char *)(addresses[1] + 8191) == 2);
    SHOW(cuMemDiscardBatchAsync(addresses, sizes, 2, 0, stream));
    SHOW(cuMemDiscardAndPrefetchBatchAsync(addresses, sizes, 2, places, starts, 2, 0, stream));
    CHECK(cuStreamSynchronize(stream));
    sizes[0] = 0;
    SHOW(cuMemDiscardBatchAsync(addresses, sizes, 2, 0, stream));
    for (int i = 0; i < 2; i++)
        CHECK(cuMemFree(addresses[i]));
}

int main()
{
    CHECK(cudaFree(0));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    rows();
    boxes();
    managed();
    CHECK(cuStreamDestroy(stream));
    return verdict();
}
