/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch_attributes: launches with attributes: clusters, programmatic serialisation, cooperation,
 * priority; wrong ones are refused.
 */
#include "check.h"

enum { BLOCK = 64, BLOCKS = 8, CHAIN = 30 };

__global__ void number(int *values, int start)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    values[i] = start + i;
}

/* May start before the kernel in front of it ended; waits for its results itself. */
__global__ void link_step(unsigned *values, unsigned factor)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
    values[i] = values[i] * factor + i;
#if __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

static cudaLaunchConfig_t configure(cudaLaunchAttribute *attributes, unsigned count,
                                    cudaStream_t stream)
{
    cudaLaunchConfig_t config = {};

    config.gridDim = dim3(BLOCKS);
    config.blockDim = dim3(BLOCK);
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = count;
    return config;
}

static cudaLaunchAttribute cluster_of(unsigned x)
{
    cudaLaunchAttribute attribute = {};

    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = x;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    return attribute;
}

static void check_numbers(const char *what, const int *device, int start)
{
    int host[BLOCK * BLOCKS];
    bool ok = true;

    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < BLOCK * BLOCKS; i++)
        ok = ok && host[i] == start + i;
    expect(what, ok);
}

static void clusters(int *values)
{
    for (unsigned size = 1; size <= 8; size *= 2) {
        cudaLaunchAttribute attribute = cluster_of(size);
        cudaLaunchConfig_t config = configure(&attribute, 1, 0);

        CHECK(cudaLaunchKernelEx(&config, number, values, (int)size * 100));
        printf("clusters of %u: ", size);
        check_numbers("numbers", values, (int)size * 100);
    }
    cudaLaunchAttribute attribute = cluster_of(3); /* does not divide the grid */
    cudaLaunchConfig_t config = configure(&attribute, 1, 0);
    expect("clusters of 3 of 8 blocks are refused",
           cudaLaunchKernelEx(&config, number, values, 0) != cudaSuccess);
    cudaGetLastError();
    attribute = cluster_of(64);
    expect("clusters of 64 are refused",
           cudaLaunchKernelEx(&config, number, values, 0) != cudaSuccess);
    cudaGetLastError();
}

static void programmatic(unsigned *values)
{
    unsigned host[BLOCK * BLOCKS], wanted[BLOCK * BLOCKS] = {0};
    cudaLaunchAttribute attribute = {};
    cudaLaunchConfig_t config;
    cudaStream_t stream;

    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    CHECK(cudaStreamCreate(&stream));
    config = configure(&attribute, 1, stream);
    CHECK(cudaMemsetAsync(values, 0, sizeof(host), stream));
    for (unsigned link = 0; link < CHAIN; link++) {
        CHECK(cudaLaunchKernelEx(&config, link_step, values, link + 2));
        for (unsigned i = 0; i < BLOCK * BLOCKS; i++)
            wanted[i] = wanted[i] * (link + 2) + i;
    }
    CHECK(cudaMemcpyAsync(host, values, sizeof(host), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect("programmatic serialisation", memcmp(host, wanted, sizeof(host)) == 0);
    print_checksum("values", host, sizeof(host));
    CHECK(cudaStreamDestroy(stream));
}

static void several(int *values)
{
    cudaLaunchAttribute attributes[3] = {};
    cudaLaunchConfig_t config;

    attributes[0].id = cudaLaunchAttributeCooperative;
    attributes[0].val.cooperative = 1;
    attributes[1].id = cudaLaunchAttributePriority;
    attributes[1].val.priority = 0;
    attributes[2].id = cudaLaunchAttributeIgnore;
    config = configure(attributes, 3, 0);
    CHECK(cudaLaunchKernelEx(&config, number, values, 5000));
    check_numbers("several at once", values, 5000);
    config = configure(nullptr, 0, 0);
    CHECK(cudaLaunchKernelEx(&config, number, values, 6000));
    check_numbers("none", values, 6000);
    config.blockDim = dim3(2000);
    SHOW(cudaLaunchKernelEx(&config, number, values, 0));
    cudaGetLastError();
}

int main()
{
    int *values;

    CHECK(cudaMalloc(&values, BLOCK * BLOCKS * sizeof(*values)));
    clusters(values);
    programmatic((unsigned *)values);
    several(values);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaFree(values));
    return verdict();
}
