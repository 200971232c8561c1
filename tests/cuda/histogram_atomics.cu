/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram_atomics: counts bytes with atomics on shared memory for each block and on global memory
 * between blocks; finds the last place of each byte with atomicMax.
 */
#include "check.h"

enum { BINS = 256, COUNT = 100000 };

__global__ void count_bytes(const unsigned char *bytes, int count, unsigned *bins, int *last)
{
    __shared__ unsigned mine[BINS];

    for (int i = threadIdx.x; i < BINS; i += blockDim.x)
        mine[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        atomicAdd(&mine[bytes[i]], 1);
        atomicMax(&last[bytes[i]], i);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < BINS; i += blockDim.x)
        if (mine[i])
            atomicAdd(&bins[i], mine[i]);
}

static unsigned char bytes[COUNT];

int main()
{
    unsigned *device_bins, bins[BINS], bins_wanted[BINS] = {0};
    int *device_last, last[BINS], last_wanted[BINS];
    unsigned char *device_bytes;
    uint32_t seed = 5;

    memset(last_wanted, -1, sizeof(last_wanted));
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (unsigned char)(random32(&seed) % 251 & random32(&seed));
        bins_wanted[bytes[i]]++;
        last_wanted[bytes[i]] = i;
    }
    CHECK(cudaMalloc(&device_bytes, sizeof(bytes)));
    CHECK(cudaMalloc(&device_bins, sizeof(bins)));
    CHECK(cudaMalloc(&device_last, sizeof(last)));
    CHECK(cudaMemcpy(device_bytes, bytes, sizeof(bytes), cudaMemcpyHostToDevice));
    CHECK(cudaMemset(device_bins, 0, sizeof(bins)));
    CHECK(cudaMemset(device_last, 0xff, sizeof(last)));
    count_bytes<<<24, 192>>>(device_bytes, COUNT, device_bins, device_last);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(bins, device_bins, sizeof(bins), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(last, device_last, sizeof(last), cudaMemcpyDeviceToHost));

    expect("counts", memcmp(bins, bins_wanted, sizeof(bins)) == 0);
    expect("last places", memcmp(last, last_wanted, sizeof(last)) == 0);
    printf("0: %u, 1: %u, 128: %u, 255: %u\n", bins[0], bins[1], bins[128], bins[255]);
    print_checksum("all", bins, sizeof(bins));
    CHECK(cudaFree(device_bytes));
    CHECK(cudaFree(device_bins));
    CHECK(cudaFree(device_last));
    return verdict();
}
