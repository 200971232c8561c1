/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error_codes: wrong calls and the errors they must give, without harm to the right ones that
 * follow.
 */
#include <cuda.h>

#include "check.h"

__global__ void set(int *value, int to)
{
    *value = to;
}

__device__ int global;
static int *device;

#define LAUNCH(grid, block, shared)                              \
    do {                                                         \
        set<<<grid, block, shared>>>(device, 1);                 \
        printf("<<<%s, %s, %s>>>: %s\n", #grid, #block, #shared, \
               cudaGetErrorName(cudaGetLastError()));            \
    } while (0)

/* The runtime's last error is taken away each time: it would show in the next launch's. */
#define SHOW_RUNTIME(call)  \
    do {                    \
        SHOW(call);         \
        cudaGetLastError(); \
    } while (0)

static void launches()
{
    LAUNCH(1, 2048, 0);
    LAUNCH(1, dim3(32, 32, 2), 0);
    LAUNCH(1, dim3(1, 1, 65), 0);
    LAUNCH(1, 0, 0);
    LAUNCH(0, 1, 0);
    LAUNCH(dim3(1, 65536, 1), 1, 0);
    LAUNCH(dim3(1, 1, 65536), 1, 0);
    LAUNCH(1, 1, 10 << 20);
    LAUNCH(1, 1, 0);
    CHECK(cudaDeviceSynchronize());
}

static void memory()
{
    char *pointer, *other, host[16] = "";

    SHOW_RUNTIME(cudaMalloc(&pointer, (size_t)1 << 50));
    SHOW_RUNTIME(cudaMalloc(nullptr, 16));
    CHECK(cudaMalloc(&pointer, 0));
    expect("nothing is at NULL", pointer == nullptr);
    SHOW_RUNTIME(cudaFree(nullptr));
    CHECK(cudaMalloc(&pointer, 1 << 20));
    CHECK(cudaMalloc(&other, 1 << 20));
    SHOW_RUNTIME(cudaFree(pointer + 256));
    SHOW_RUNTIME(cudaFree(pointer));
    SHOW_RUNTIME(cudaFree(pointer));
    SHOW_RUNTIME(cudaFree((void *)0x10));
    SHOW_RUNTIME(cudaMemcpy(other, host, 16, (cudaMemcpyKind)9));
    SHOW_RUNTIME(cudaMemcpy((void *)0x100, host, 16, cudaMemcpyHostToDevice));
    SHOW_RUNTIME(cudaMemcpy(host, (void *)0x100, 16, cudaMemcpyDeviceToHost));
    SHOW_RUNTIME(cudaMemcpy(nullptr, host, 16, cudaMemcpyHostToDevice));
    SHOW_RUNTIME(cudaMemcpy(other, nullptr, 0, cudaMemcpyHostToDevice));
    SHOW_RUNTIME(cudaMemset((void *)0x100, 0, 16));
    SHOW_RUNTIME(cudaMemcpyToSymbol(global, host, 16));
    SHOW_RUNTIME(cudaMemcpyToSymbol((const void *)host, host, 4));
    CHECK(cudaFree(other));
}

static void objects()
{
    cudaEvent_t start, end;
    cudaStream_t stream;
    float milliseconds;

    SHOW_RUNTIME(cudaEventDestroy(nullptr));
    SHOW_RUNTIME(cudaEventRecord(nullptr, 0));
    SHOW_RUNTIME(cudaEventCreateWithFlags(&start, 0x100));
    SHOW_RUNTIME(cudaStreamCreateWithFlags(&stream, 0x100));
    SHOW_RUNTIME(cudaStreamDestroy(0));
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreateWithFlags(&end, cudaEventDisableTiming));
    SHOW_RUNTIME(cudaEventElapsedTime(&milliseconds, start, start));
    CHECK(cudaEventRecord(start));
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    SHOW_RUNTIME(cudaEventElapsedTime(&milliseconds, start, end));
    CHECK(cudaEventDestroy(start));
    CHECK(cudaEventDestroy(end));
}

static void last_error();

static void devices()
{
    cudaFuncAttributes attributes;
    cudaDeviceProp properties;
    int value;

    SHOW_RUNTIME(cudaSetDevice(99));
    SHOW_RUNTIME(cudaSetDevice(-1));
    SHOW_RUNTIME(cudaGetDeviceProperties(&properties, 99));
    SHOW_RUNTIME(cudaDeviceGetAttribute(&value, (cudaDeviceAttr)100000, 0));
    SHOW_RUNTIME(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 99));
    expect("a function of the host has no attributes",
           cudaFuncGetAttributes(&attributes, (const void *)last_error) != cudaSuccess);
    cudaGetLastError();
    SHOW_RUNTIME(cudaFuncSetAttribute(set, cudaFuncAttributeMaxDynamicSharedMemorySize, -5));
}

static void driver()
{
    CUdeviceptr address;
    CUcontext context;
    const char *text;
    CUdevice device_number;

    SHOW(cuDeviceGet(&device_number, 99));
    SHOW(cuMemAlloc(&address, 0));
    SHOW(cuMemAlloc(nullptr, 16));
    SHOW(cuMemFree(0x1234));
    SHOW(cuMemcpyDtoH(&address, 0x1234, 8));
    SHOW(cuCtxGetCurrent(nullptr));
    SHOW(cuGetErrorName((CUresult)12345, &text));
    SHOW(cuInit(77));
    CHECK(cuCtxGetCurrent(&context));
    expect("a context is current", context != nullptr);
}

/* The last error is told once; peeking leaves it. */
static void last_error()
{
    cudaSetDevice(77);
    SHOW(cudaPeekAtLastError());
    SHOW(cudaPeekAtLastError());
    SHOW(cudaGetLastError());
    SHOW(cudaGetLastError());
    printf("%s\n", cudaGetErrorString(cudaErrorInvalidDevice));
    printf("%s\n", cudaGetErrorString((cudaError_t)54321));
}

int main()
{
    int value = 0;

    CHECK(cudaMalloc(&device, sizeof(int)));
    launches();
    memory();
    objects();
    devices();
    driver();
    last_error();
    set<<<1, 1>>>(device, 4711);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&value, device, sizeof(value), cudaMemcpyDeviceToHost));
    expect("right calls still work", value == 4711);
    CHECK(cudaFree(device));
    return verdict();
}
