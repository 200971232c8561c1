/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert_device: asserts that hold do nothing; one that does not writes its message to stderr, ends
 * the kernel with cudaErrorAssert, and this error stays.
 */
#include <assert.h>

#include "check.h"

/* The message names the file; without this, as the compiler was called. */
#line 13 "assert_device.cu"
__global__ void assert_below(const int *values, int limit)
{
    assert(values[blockIdx.x * blockDim.x + threadIdx.x] < limit);
}

int main()
{
    int values[64], *device;

    for (int i = 0; i < 64; i++)
        values[i] = i == 37 ? 1000 : i;
    CHECK(cudaMalloc(&device, sizeof(values)));
    CHECK(cudaMemcpy(device, values, sizeof(values), cudaMemcpyHostToDevice));
    assert_below<<<2, 32>>>(device, 2000);
    SHOW(cudaDeviceSynchronize());
    fflush(stdout);
    assert_below<<<2, 32>>>(device, 500);
    SHOW(cudaDeviceSynchronize());
    SHOW(cudaGetLastError());
    SHOW(cudaMemset(device, 0, sizeof(values)));
    SHOW(cudaDeviceSynchronize());
    return verdict();
}
