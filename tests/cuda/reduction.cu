/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduction: sum, least and greatest of an array: warps reduce by shuffles, blocks through shared
 * memory, the grid by a second launch.
 */
#include <limits.h>

#include "check.h"

struct summary {
    long long sum;
    int least, greatest;
};

__device__ static void join(summary *into, const summary &other)
{
    into->sum += other.sum;
    into->least = min(into->least, other.least);
    into->greatest = max(into->greatest, other.greatest);
}

__device__ static void reduce_warp(summary *s)
{
    for (int distance = 16; distance > 0; distance /= 2) {
        summary other = {__shfl_down_sync(~0u, s->sum, distance),
                         __shfl_down_sync(~0u, s->least, distance),
                         __shfl_down_sync(~0u, s->greatest, distance)};

        join(s, other);
    }
}

__device__ static void reduce_block(summary mine, summary *result)
{
    __shared__ summary warps[32];

    reduce_warp(&mine);
    if (threadIdx.x % 32 == 0)
        warps[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x < 32) {
        mine = threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : summary{0, INT_MAX, INT_MIN};
        reduce_warp(&mine);
        if (threadIdx.x == 0)
            *result = mine;
    }
}

__global__ void summarize(const int *values, int count, summary *results)
{
    summary mine = {0, INT_MAX, INT_MIN};

    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        join(&mine, summary{values[i], values[i], values[i]});
    reduce_block(mine, &results[blockIdx.x]);
}

__global__ void summarize_blocks(const summary *blocks, int count, summary *result)
{
    summary mine = {0, INT_MAX, INT_MIN};

    for (int i = threadIdx.x; i < count; i += blockDim.x)
        join(&mine, blocks[i]);
    reduce_block(mine, result);
}

static int values[200001];

int main()
{
    const int count = sizeof(values) / sizeof(values[0]), blocks = 60;
    summary *results, host = {0, INT_MAX, INT_MIN}, device;
    uint32_t seed = 11;
    int *copy;

    for (int &value : values) {
        value = (int)random32(&seed);
        host.sum += value;
        host.least = value < host.least ? value : host.least;
        host.greatest = value > host.greatest ? value : host.greatest;
    }
    CHECK(cudaMalloc(&copy, sizeof(values)));
    CHECK(cudaMalloc(&results, (blocks + 1) * sizeof(*results)));
    CHECK(cudaMemcpy(copy, values, sizeof(values), cudaMemcpyHostToDevice));
    summarize<<<blocks, 256>>>(copy, count, results);
    summarize_blocks<<<1, 64>>>(results, blocks, results + blocks);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&device, results + blocks, sizeof(device), cudaMemcpyDeviceToHost));

    expect("sum", device.sum == host.sum);
    expect("least", device.least == host.least);
    expect("greatest", device.greatest == host.greatest);
    printf("%lld %d %d\n", device.sum, device.least, device.greatest);
    CHECK(cudaFree(copy));
    CHECK(cudaFree(results));
    return verdict();
}
