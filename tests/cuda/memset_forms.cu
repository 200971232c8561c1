/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memset_forms: every way to set memory: bytes, halves and words, in lines, rows and boxes, from
 * the runtime and from the driver API, waiting and in streams.
 */
#include <cuda.h>

#include "check.h"

enum { SIZE = 4096 };

static unsigned char host[SIZE], wanted[SIZE], *device;

static void start()
{
    memset(wanted, 0x11, sizeof(wanted));
    CHECK(cudaMemset(device, 0x11, SIZE));
}

static void compare(const char *what)
{
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(host, device, SIZE, cudaMemcpyDeviceToHost));
    expect(what, memcmp(host, wanted, SIZE) == 0);
}

static void want(size_t start, size_t pitch, size_t element, uint32_t value, size_t width,
                 size_t height)
{
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            memcpy(wanted + start + y * pitch + x * element, &value, element);
}

static void runtime()
{
    cudaExtent box = make_cudaExtent(20, 3, 2);
    cudaStream_t stream;

    CHECK(cudaStreamCreate(&stream));
    start();
    CHECK(cudaMemset(device + 3, 0xab, 1001));
    want(3, 0, 1, 0xab, 1001, 1);
    compare("line");
    start();
    CHECK(cudaMemsetAsync(device + 1, 300, 77, stream)); /* the low byte counts */
    want(1, 0, 1, 300 & 0xff, 77, 1);
    CHECK(cudaStreamSynchronize(stream));
    compare("line in a stream");
    start();
    CHECK(cudaMemset2D(device + 5, 100, 7, 33, 9));
    want(5, 100, 1, 7, 33, 9);
    compare("rows");
    start();
    CHECK(cudaMemset2DAsync(device, 64, 9, 64, 64, stream));
    want(0, 64, 1, 9, 64, 64);
    CHECK(cudaStreamSynchronize(stream));
    compare("rows in a stream");
    start();
    CHECK(cudaMemset3D(make_cudaPitchedPtr(device, 50, 50, 10), 8, box));
    want(0, 50, 1, 8, 20, 3);
    want(500, 50, 1, 8, 20, 3);
    compare("box");
    CHECK(cudaStreamDestroy(stream));
}

static void driver()
{
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)device;

    start();
    CHECK(cuMemsetD8(at + 9, 0xcd, 99));
    want(9, 0, 1, 0xcd, 99, 1);
    compare("D8");
    start();
    CHECK(cuMemsetD16(at + 2, 0x1234, 500));
    want(2, 0, 2, 0x1234, 500, 1);
    compare("D16");
    start();
    CHECK(cuMemsetD32(at + 4, 0xdeadbeef, 1000));
    want(4, 0, 4, 0xdeadbeef, 1000, 1);
    compare("D32");
    start();
    CHECK(cuMemsetD2D8(at + 1, 40, 0x77, 13, 20));
    want(1, 40, 1, 0x77, 13, 20);
    compare("D2D8");
    start();
    CHECK(cuMemsetD2D16(at, 64, 0x4321, 10, 30));
    want(0, 64, 2, 0x4321, 10, 30);
    compare("D2D16");
    start();
    CHECK(cuMemsetD2D32(at, 128, 0xcafef00d, 25, 30));
    want(0, 128, 4, 0xcafef00d, 25, 30);
    compare("D2D32");
    start();
    CHECK(cuMemsetD8Async(at, 1, 10, 0));
    CHECK(cuMemsetD16Async(at + 10, 2, 10, 0));
    CHECK(cuMemsetD32Async(at + 40, 3, 10, 0));
    CHECK(cuMemsetD2D8Async(at + 100, 20, 4, 10, 5, 0));
    CHECK(cuMemsetD2D16Async(at + 200, 40, 5, 10, 5, 0));
    CHECK(cuMemsetD2D32Async(at + 400, 80, 6, 10, 5, 0));
    want(0, 0, 1, 1, 10, 1);
    want(10, 0, 2, 2, 10, 1);
    want(40, 0, 4, 3, 10, 1);
    want(100, 20, 1, 4, 10, 5);
    want(200, 40, 2, 5, 10, 5);
    want(400, 80, 4, 6, 10, 5);
    compare("in a stream");
    print_checksum("bytes", host, SIZE);
}

int main()
{
    CHECK(cudaMalloc(&device, SIZE));
    runtime();
    driver();
    CHECK(cudaMemset(device, 1, 0));
    SHOW(cuMemsetD16((CUdeviceptr)(uintptr_t)device + 1, 0, 1));
    SHOW(cudaMemset(device, 0, (size_t)1 << 50));
    cudaGetLastError();
    CHECK(cudaFree(device));
    return verdict();
}
