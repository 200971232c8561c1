/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinned_mapped: host memory that the device reads and writes in place, allocated and registered;
 * flags, pointers and what happens to memory that is neither.
 */
#include "check.h"

enum { COUNT = 3000 };

__global__ void square(const int *in, int *out, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        out[i] = in[i] * in[i];
}

static bool squares(const int *in, const int *out)
{
    for (int i = 0; i < COUNT; i++)
        if (out[i] != in[i] * in[i])
            return false;
    return true;
}

static void in_place()
{
    int *in, *out, *device_in, *device_out;
    unsigned flags;

    CHECK(
        cudaHostAlloc(&in, COUNT * sizeof(int), cudaHostAllocMapped | cudaHostAllocWriteCombined));
    CHECK(cudaHostAlloc(&out, COUNT * sizeof(int), cudaHostAllocMapped | cudaHostAllocPortable));
    for (int i = 0; i < COUNT; i++)
        in[i] = i - 1500;
    CHECK(cudaHostGetDevicePointer(&device_in, in, 0));
    CHECK(cudaHostGetDevicePointer(&device_out, out, 0));
    square<<<(COUNT + 255) / 256, 256>>>(device_in, device_out, COUNT);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("in place", squares(in, out));
    print_checksum("squares", out, COUNT * sizeof(int));
    CHECK(cudaHostGetFlags(&flags, out));
    expect("flags", (flags & (cudaHostAllocMapped | cudaHostAllocPortable)) ==
                        (cudaHostAllocMapped | cudaHostAllocPortable));
    CHECK(cudaFreeHost(in));
    CHECK(cudaFreeHost(out));
}

static void copied()
{
    int *pinned, *device;
    cudaStream_t stream;
    bool ok = true;

    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaMallocHost(&pinned, 2 * COUNT * sizeof(int)));
    CHECK(cudaMalloc(&device, 2 * COUNT * sizeof(int)));
    for (int i = 0; i < COUNT; i++)
        pinned[i] = i * 3;
    for (int round = 0; round < 10; round++) {
        CHECK(cudaMemcpyAsync(device, pinned, COUNT * sizeof(int), cudaMemcpyHostToDevice, stream));
        square<<<(COUNT + 255) / 256, 256, 0, stream>>>(device, device + COUNT, COUNT);
        CHECK(cudaMemcpyAsync(pinned + COUNT, device + COUNT, COUNT * sizeof(int),
                              cudaMemcpyDeviceToHost, stream));
        CHECK(cudaStreamSynchronize(stream));
        ok = ok && squares(pinned, pinned + COUNT);
        for (int i = 0; i < COUNT; i++)
            pinned[i]++;
    }
    expect("copied", ok);
    CHECK(cudaFree(device));
    CHECK(cudaFreeHost(pinned));
    CHECK(cudaStreamDestroy(stream));
}

static void registered()
{
    const size_t size = 64 * 4096;
    char *memory = (char *)aligned_alloc(4096, size);
    int *in = (int *)memory, *out = (int *)(memory + size / 2), *device_in, *device_out;
    cudaPointerAttributes attributes;

    for (int i = 0; i < COUNT; i++)
        in[i] = 2 * i + 1;
    CHECK(cudaHostRegister(memory, size, cudaHostRegisterMapped));
    CHECK(cudaHostGetDevicePointer(&device_in, in, 0));
    CHECK(cudaHostGetDevicePointer(&device_out, out, 0));
    square<<<(COUNT + 255) / 256, 256>>>(device_in, device_out, COUNT);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("registered", squares(in, out));
    CHECK(cudaPointerGetAttributes(&attributes, in));
    expect("known as host memory", attributes.type == cudaMemoryTypeHost);
    printf("registered twice: %s\n",
           cudaGetErrorName(cudaHostRegister(memory, size, cudaHostRegisterMapped)));
    cudaGetLastError();
    CHECK(cudaHostUnregister(memory));
    /* Its end alone is enough. */
    CHECK(cudaHostRegister((char *)memory + size / 2, size / 2, cudaHostRegisterMapped));
    printf("registered over another: %s\n",
           cudaGetErrorName(cudaHostRegister(memory, size, cudaHostRegisterMapped)));
    cudaGetLastError();
    CHECK(cudaHostUnregister((char *)memory + size / 2));
    printf("unregistered twice: %s\n", cudaGetErrorName(cudaHostUnregister(memory)));
    cudaGetLastError();
    CHECK(cudaPointerGetAttributes(&attributes, in));
    expect("known no more", attributes.type == cudaMemoryTypeUnregistered);
    expect("still there", squares(in, out));
    free(memory);
}

static void refused()
{
    int local = 0, *pointer;

    printf("the device's pointer of plain memory: %s\n",
           cudaGetErrorName(cudaHostGetDevicePointer(&pointer, &local, 0)));
    cudaGetLastError();
    printf("freeing plain memory: %s\n", cudaGetErrorName(cudaFreeHost(&local)));
    cudaGetLastError();
    printf("unknown flags: %s\n", cudaGetErrorName(cudaHostAlloc(&pointer, 4, 0x1000)));
    cudaGetLastError();
}

int main()
{
    in_place();
    copied();
    registered();
    refused();
    return verdict();
}
