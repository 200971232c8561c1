/* SPDX-License-Identifier: Apache-2.0 */
/*
 * occupancy: how many blocks fit, as far as the answers hold on every device: limits, and how they
 * move with the block's size and its shared memory.
 */
#include "check.h"

__global__ void plain(int *values)
{
    values[blockIdx.x * blockDim.x + threadIdx.x]++;
}

__global__ void __launch_bounds__(128) bounded(int *values)
{
    extern __shared__ int line[];

    line[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
    values[threadIdx.x] = line[127 - threadIdx.x];
}

static size_t shared_of(int block)
{
    return (size_t)block * 16;
}

static int blocks_of(const void *kernel, int block, size_t shared)
{
    int blocks = -1;

    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, block, shared));
    return blocks;
}

static void clusters()
{
    cudaLaunchAttribute attribute = {};
    cudaLaunchConfig_t config = {};
    int count = 0, size = 0, supported;

    CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrClusterLaunch, 0));
    expect("clusters are supported", supported == 1);
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = 2;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.gridDim = dim3(4);
    config.blockDim = dim3(64);
    config.attrs = &attribute;
    config.numAttrs = 1;
    CHECK(cudaOccupancyMaxActiveClusters(&count, plain, &config));
    expect("a cluster fits", count >= 1);
    CHECK(cudaOccupancyMaxPotentialClusterSize(&size, plain, &config));
    expect("a cluster of 8 may be", size >= 8);
}

int main()
{
    int threads, most, grid = 0, block = 0;
    size_t available = 0;

    CHECK(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, 0));
    CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxBlocksPerMultiprocessor, 0));
    for (int size = 32; size <= 1024; size *= 2) {
        int blocks = blocks_of((const void *)plain, size, 0);

        printf("%d threads: ", size);
        expect("within the limits", blocks >= 1 && blocks <= most && blocks * size <= threads);
    }
    expect("smaller blocks, no fewer",
           blocks_of((const void *)plain, 64, 0) >= blocks_of((const void *)plain, 512, 0));
    expect("shared memory limits",
           blocks_of((const void *)plain, 32, 40000) < blocks_of((const void *)plain, 32, 0) &&
               blocks_of((const void *)plain, 32, 40000) >= 1);
    expect("too much shared memory", blocks_of((const void *)plain, 32, 10 << 20) == 0);

    CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, plain, 0, 0));
    expect("a block to try", block >= 32 && block <= 1024 && block % 32 == 0 && grid >= 1);
    CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, plain, 0, 96));
    expect("a block to try, at most 96", block >= 32 && block <= 96);
    CHECK(cudaOccupancyMaxPotentialBlockSizeVariableSMem(&grid, &block, bounded, shared_of));
    expect("a block to try, within its bounds", block >= 32 && block <= 128);
    CHECK(cudaOccupancyAvailableDynamicSMemPerBlock(&available, plain, 1, 128));
    expect("shared memory for one block", available >= 32 * 1024);
    clusters();
    return verdict();
}
