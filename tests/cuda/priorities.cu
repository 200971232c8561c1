/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priorities: streams with priorities: the range, what is asked for and what is got, and that all
 * of them work.
 */
#include "check.h"

__global__ void increment(int *value)
{
    atomicAdd(value, 1);
}

static int priority_of(cudaStream_t stream)
{
    int priority = 12345;

    CHECK(cudaStreamGetPriority(stream, &priority));
    return priority;
}

int main()
{
    int least = 99, greatest = 99, *device, value = 0;
    cudaStream_t low, high, beyond;

    CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    expect("range", least == 0 && greatest <= least);
    CHECK(cudaStreamCreateWithPriority(&low, cudaStreamNonBlocking, least));
    CHECK(cudaStreamCreateWithPriority(&high, cudaStreamNonBlocking, greatest));
    CHECK(cudaStreamCreateWithPriority(&beyond, cudaStreamDefault, greatest - 100));
    expect("low", priority_of(low) == least);
    expect("high", priority_of(high) == greatest);
    expect("beyond the range is the end of the range", priority_of(beyond) == greatest);
    expect("the default stream's", priority_of(0) == 0);
    CHECK(cudaMalloc(&device, sizeof(*device)));
    CHECK(cudaMemset(device, 0, sizeof(*device)));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 30; i++)
        increment<<<1, 32, 0, i % 3 == 0 ? low : i % 3 == 1 ? high : beyond>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(&value, device, sizeof(value), cudaMemcpyDeviceToHost));
    expect("all work", value == 30 * 32);
    CHECK(cudaStreamDestroy(low));
    CHECK(cudaStreamDestroy(high));
    CHECK(cudaStreamDestroy(beyond));
    CHECK(cudaFree(device));
    return verdict();
}
