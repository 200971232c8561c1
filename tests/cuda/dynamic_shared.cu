/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamic_shared: shared memory whose size the launch gives, beside static shared memory; up to 48
 * KiB for all, more for kernels that opted in, none beyond what they opted in to.
 */
#include "check.h"

extern __shared__ int line[];

/* Each block reverses its part of the array through shared memory. */
__global__ void reverse(int *values, int count)
{
    __shared__ int first;
    int *part = values + blockIdx.x * count;

    for (int i = threadIdx.x; i < count; i += blockDim.x)
        line[i] = part[i];
    if (threadIdx.x == 0)
        first = part[0];
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        part[i] = line[count - 1 - i] + first;
}

/* As above; this one opts in. */
__global__ void reverse_large(int *values, int count)
{
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        line[i] = values[i];
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        values[i] = line[count - 1 - i];
}

/* Several arrays of different types in one piece of memory. */
__global__ void split(double *doubles_out, unsigned char *bytes_out, int count)
{
    double *doubles = (double *)line;
    unsigned char *bytes = (unsigned char *)(doubles + count);
    int i = threadIdx.x;

    doubles[i] = i * 0.25;
    bytes[i] = (unsigned char)(200 + i);
    __syncthreads();
    doubles_out[i] = doubles[count - 1 - i];
    bytes_out[i] = bytes[count - 1 - i];
}

static void check_reverse(int *device, int blocks, int count)
{
    int *host = (int *)malloc((size_t)blocks * count * sizeof(int));
    size_t size = (size_t)blocks * count * sizeof(int);
    bool ok = true;

    for (int i = 0; i < blocks * count; i++)
        host[i] = i * 7;
    CHECK(cudaMemcpy(device, host, size, cudaMemcpyHostToDevice));
    reverse<<<blocks, 128, count * sizeof(int)>>>(device, count);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, size, cudaMemcpyDeviceToHost));
    for (int b = 0; b < blocks; b++)
        for (int i = 0; i < count; i++)
            ok = ok && host[b * count + i] == (b * count + count - 1 - i) * 7 + b * count * 7;
    printf("%d blocks of %zu bytes: ", blocks, count * sizeof(int));
    expect("reversed", ok);
    free(host);
}

static void check_large(int *device)
{
    const int size = 64 * 1024, count = size / (int)sizeof(int);
    int *host = (int *)malloc(size), most;
    bool ok = true;

    for (int i = 0; i < count; i++)
        host[i] = i ^ 0x55;
    CHECK(cudaMemcpy(device, host, size, cudaMemcpyHostToDevice));
    reverse<<<1, 128, 48 * 1024>>>(device, 1);
    printf("48 KiB beside its own: %s\n", cudaGetErrorName(cudaGetLastError()));
    reverse_large<<<1, 256, size>>>(device, count);
    printf("64 KiB without leave: %s\n", cudaGetErrorName(cudaGetLastError()));
    CHECK(cudaFuncSetAttribute(reverse_large, cudaFuncAttributeMaxDynamicSharedMemorySize, size));
    reverse_large<<<1, 256, size>>>(device, count);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, size, cudaMemcpyDeviceToHost));
    for (int i = 0; i < count; i++)
        ok = ok && host[i] == ((count - 1 - i) ^ 0x55);
    expect("64 KiB with leave", ok);
    reverse_large<<<1, 256, size + 1024>>>(device, count);
    printf("65 KiB with leave for 64: %s\n", cudaGetErrorName(cudaGetLastError()));

    CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
    printf("leave for more than there is: %s\n",
           cudaGetErrorName(cudaFuncSetAttribute(
               reverse_large, cudaFuncAttributeMaxDynamicSharedMemorySize, most + 1)));
    cudaGetLastError();
    free(host);
}

int main()
{
    unsigned char *bytes, host_bytes[64];
    double *doubles, host_doubles[64];
    bool ok = true;
    int *device;

    CHECK(cudaMalloc(&device, 256 * 1024));
    check_reverse(device, 8, 32);
    check_reverse(device, 5, 1024);
    check_reverse(device, 2,
                  48 * 1024 / (int)sizeof(int) - 4); /* the static variable counts, too */
    check_large(device);

    CHECK(cudaMalloc(&doubles, sizeof(host_doubles)));
    CHECK(cudaMalloc(&bytes, sizeof(host_bytes)));
    split<<<1, 64, 64 * (sizeof(double) + 1)>>>(doubles, bytes, 64);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host_doubles, doubles, sizeof(host_doubles), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(host_bytes, bytes, sizeof(host_bytes), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 64; i++)
        ok = ok && host_doubles[i] == (63 - i) * 0.25 &&
             host_bytes[i] == (unsigned char)(200 + 63 - i);
    expect("two arrays in one", ok);
    CHECK(cudaFree(device));
    CHECK(cudaFree(doubles));
    CHECK(cudaFree(bytes));
    return verdict();
}
