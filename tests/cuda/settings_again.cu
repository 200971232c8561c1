/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_again: what libraries do before each launch: a kernel's attributes set again, to what
 * they are or were, and launches of a shape that was there before. Errors come from the launch
 * itself, however often its like succeeded.
 */
#include "check.h"

__global__ void touch(unsigned *sum, unsigned words)
{
    extern __shared__ unsigned memory[];
    memory[words - 1] = words;
    atomicAdd(sum, memory[words - 1]);
}

static unsigned *sum;

static void allow(int bytes)
{
    cudaError_t error =
        cudaFuncSetAttribute(touch, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncAttributes now;
    CHECK(cudaFuncGetAttributes(&now, touch));
    printf("allow %d: %s, allowed %d\n", bytes, cudaGetErrorName(error),
           now.maxDynamicSharedSizeBytes);
    cudaGetLastError();
}

static void launch(unsigned bytes)
{
    touch<<<1, 1, bytes>>>(sum, bytes / 4);
    printf("  %u bytes: %s\n", bytes, cudaGetErrorName(cudaGetLastError()));
}

static void launch_clusters(unsigned blocks, unsigned cluster)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute;
    config.gridDim = blocks;
    config.blockDim = 1;
    config.dynamicSmemBytes = 64;
    config.attrs = &attribute;
    config.numAttrs = 1;
    memset(&attribute, 0, sizeof attribute);
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = cluster;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaError_t error = cudaLaunchKernelEx(&config, touch, sum, 16u);
    printf("  %u blocks in clusters of %u: %s\n", blocks, cluster, cudaGetErrorName(error));
    cudaGetLastError();
}

__global__ void plain()
{
}

/* A kernel that has run without clusters is set to have them. */
static void clusters_from_now_on()
{
    plain<<<3, 1>>>();
    CHECK(cudaGetLastError());
    for (cudaFuncAttribute side :
         {cudaFuncAttributeRequiredClusterWidth, cudaFuncAttributeRequiredClusterHeight,
          cudaFuncAttributeRequiredClusterDepth})
        CHECK(cudaFuncSetAttribute(plain, side,
                                   side == cudaFuncAttributeRequiredClusterWidth ? 2 : 1));
    plain<<<3, 1>>>();
    printf("three blocks in clusters of two: %s\n", cudaGetErrorName(cudaGetLastError()));
    plain<<<4, 1>>>();
    printf("four: %s\n", cudaGetErrorName(cudaGetLastError()));
}

int main()
{
    unsigned total;
    CHECK(cudaMalloc(&sum, sizeof *sum));
    CHECK(cudaMemset(sum, 0, sizeof *sum));
    for (int round = 0; round < 3; round++) {
        printf("round %d\n", round);
        allow(100000);
        allow(100000);
        for (int i = 0; i < 3; i++)
            launch(100000);
        allow(60000);
        launch(60000);
        launch(100000);
        allow(300000);
        launch(60000);
        launch(100000);
        launch_clusters(4, 2);
        launch_clusters(4, 2);
        launch_clusters(3, 2);
    }
    CHECK(cudaMemcpy(&total, sum, sizeof total, cudaMemcpyDeviceToHost));
    printf("sum: %u\n", total);
    CHECK(cudaFree(sum));
    clusters_from_now_on();
    return 0;
}
