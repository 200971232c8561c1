/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusters: blocks of one cluster that meet at its barrier and read each other's shared memory;
 * clusters that the launch asks for and clusters that the kernel brings. Compiled for compute_90
 * and later only.
 */
#include <cooperative_groups.h>

#include "check.h"

namespace cg = cooperative_groups;

enum { BLOCK = 32, BLOCKS = 8 };

/* Each block hands its values to the next one of its cluster. */
__device__ static void pass_on(int *out)
{
    __shared__ int mine[BLOCK];
    cg::cluster_group cluster = cg::this_cluster();
    unsigned next = (cluster.block_rank() + 1) % cluster.num_blocks();
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    mine[threadIdx.x] = i;
    cluster.sync();
    out[i] = *cluster.map_shared_rank(&mine[BLOCK - 1 - threadIdx.x], next) +
             (int)cluster.block_rank() * 1000;
    cluster.sync();
}

__global__ void pass_on_as_launched(int *out)
{
    pass_on(out);
}

__global__ void __cluster_dims__(4, 1, 1) pass_on_by_four(int *out)
{
    pass_on(out);
}

static void check(const char *what, const int *device, int size)
{
    int host[BLOCK * BLOCKS];
    bool ok = true;

    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < BLOCK * BLOCKS; i++) {
        int block = i / BLOCK, rank = block % size, next = block - rank + (rank + 1) % size;

        ok = ok && host[i] == next * BLOCK + BLOCK - 1 - i % BLOCK + rank * 1000;
    }
    printf("clusters of %d: ", size);
    expect(what, ok);
}

int main()
{
    int *device;

    CHECK(cudaMalloc(&device, BLOCK * BLOCKS * sizeof(*device)));
    for (int size = 1; size <= 8; size *= 2) {
        cudaLaunchAttribute attribute = {};
        cudaLaunchConfig_t config = {};

        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim.x = (unsigned)size;
        attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
        config.gridDim = dim3(BLOCKS);
        config.blockDim = dim3(BLOCK);
        config.attrs = &attribute;
        config.numAttrs = 1;
        CHECK(cudaMemset(device, 0, BLOCK * BLOCKS * sizeof(*device)));
        CHECK(cudaLaunchKernelEx(&config, pass_on_as_launched, device));
        check("as launched", device, size);
    }
    CHECK(cudaMemset(device, 0, BLOCK * BLOCKS * sizeof(*device)));
    pass_on_by_four<<<BLOCKS, BLOCK>>>(device);
    CHECK_LAUNCH();
    check("by the kernel", device, 4);
    pass_on_by_four<<<6, BLOCK>>>(device);
    expect("6 blocks in fours are refused", cudaGetLastError() != cudaSuccess);
    CHECK(cudaFree(device));
    return verdict();
}
