/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes: what functions, pointers and limits say of themselves, as far as it is the same on
 * every device.
 */
#include <cuda.h>

#include "check.h"

__constant__ int constants[64];

__global__ void __launch_bounds__(192) sized(int *values)
{
    __shared__ int line[300];
    int i = threadIdx.x;

    line[i] = values[i] + constants[i % 64];
    __syncthreads();
    values[i] = line[191 - i];
}

/* An array that cannot live in registers: its index is not known. */
__global__ void with_local(int *values, int n)
{
    int mine[200];

    for (int i = 0; i < 200; i++)
        mine[i] = values[(i * n) % 256];
    for (int i = 0; i < n; i++)
        values[i] = mine[values[i] & 127] + mine[i];
}

static void functions()
{
    cudaFuncAttributes attributes;

    CHECK(cudaFuncGetAttributes(&attributes, sized));
    printf("sized: threads %d, shared %zu\n", attributes.maxThreadsPerBlock,
           attributes.sharedSizeBytes);
    expect("registers", attributes.numRegs > 0 && attributes.numRegs <= 255);
    expect("constants", attributes.constSizeBytes >= sizeof(constants));
    expect("versions", attributes.ptxVersion >= 75 && attributes.binaryVersion >= 75);
    CHECK(cudaFuncGetAttributes(&attributes, with_local));
    expect("local memory", attributes.localSizeBytes >= 800);
    expect("threads",
           attributes.maxThreadsPerBlock >= 256 && attributes.maxThreadsPerBlock <= 1024);
    CHECK(cudaFuncSetAttribute(sized, cudaFuncAttributePreferredSharedMemoryCarveout, 50));
    CHECK(cudaFuncSetAttribute(sized, cudaFuncAttributeMaxDynamicSharedMemorySize, 20000));
    CHECK(cudaFuncGetAttributes(&attributes, sized));
    printf("sized: dynamic %d, carveout %d\n", attributes.maxDynamicSharedSizeBytes,
           attributes.preferredShmemCarveout);
    CHECK(cudaFuncSetCacheConfig(sized, cudaFuncCachePreferShared));
}

static void pointers()
{
    cudaPointerAttributes attributes;
    char *device, *pinned, plain;
    CUdeviceptr base = 0;
    size_t size = 0;
    unsigned kind = 0;

    CHECK(cudaMalloc(&device, 10000));
    CHECK(cudaMallocHost(&pinned, 5000));
    CHECK(cudaPointerGetAttributes(&attributes, device + 77));
    expect("device memory", attributes.type == cudaMemoryTypeDevice && attributes.device == 0 &&
                                attributes.devicePointer == device + 77 && !attributes.hostPointer);
    CHECK(cudaPointerGetAttributes(&attributes, pinned + 7));
    expect("pinned memory", attributes.type == cudaMemoryTypeHost &&
                                attributes.hostPointer == pinned + 7 && attributes.devicePointer);
    CHECK(cudaPointerGetAttributes(&attributes, &plain));
    expect("plain memory", attributes.type == cudaMemoryTypeUnregistered);
    CHECK(cuMemGetAddressRange(&base, &size, (CUdeviceptr)(uintptr_t)(device + 5000)));
    expect("range", base == (CUdeviceptr)(uintptr_t)device && size == 10000);
    CHECK(cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                (CUdeviceptr)(uintptr_t)device));
    expect("memory type", kind == CU_MEMORYTYPE_DEVICE);
    CHECK(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                (CUdeviceptr)(uintptr_t)(device + 1)));
    expect("start", base == (CUdeviceptr)(uintptr_t)device);
    SHOW(cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                               (CUdeviceptr)(uintptr_t)&plain));
    CHECK(cudaFree(device));
    CHECK(cudaFreeHost(pinned));
    SHOW(cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                               (CUdeviceptr)(uintptr_t)device));
}

static void limits()
{
    size_t value;

    CHECK(cudaDeviceSetLimit(cudaLimitPrintfFifoSize, 2 << 20));
    CHECK(cudaDeviceGetLimit(&value, cudaLimitPrintfFifoSize));
    expect("printf's memory", value >= 2 << 20);
    CHECK(cudaDeviceGetLimit(&value, cudaLimitStackSize));
    expect("stack", value >= 1024);
    CHECK(cudaDeviceGetLimit(&value, cudaLimitMallocHeapSize));
    expect("heap", value == 8 << 20);
}

int main()
{
    functions();
    pointers();
    limits();
    return verdict();
}
