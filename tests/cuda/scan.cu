/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: prefix sums of a long array by blocks in shared memory: scan each block, scan the blocks'
 * sums, add them.
 */
#include "check.h"

enum { BLOCK = 256, COUNT = 60001, BLOCKS = (COUNT + BLOCK - 1) / BLOCK };

__global__ void scan_blocks(const unsigned *values, unsigned *sums, unsigned *totals, int count)
{
    __shared__ unsigned line[2][BLOCK];
    int i = blockIdx.x * BLOCK + threadIdx.x, me = threadIdx.x, from = 0;

    line[0][me] = i < count ? values[i] : 0;
    for (int distance = 1; distance < BLOCK; distance *= 2) {
        __syncthreads();
        line[1 - from][me] = line[from][me] + (me >= distance ? line[from][me - distance] : 0);
        from = 1 - from;
    }
    __syncthreads();
    if (i < count)
        sums[i] = line[from][me];
    if (me == BLOCK - 1 && totals)
        totals[blockIdx.x] = line[from][me];
}

__global__ void add_offsets(unsigned *sums, const unsigned *offsets, int count)
{
    int i = blockIdx.x * BLOCK + threadIdx.x;

    if (blockIdx.x > 0 && i < count)
        sums[i] += offsets[blockIdx.x - 1];
}

static unsigned values[COUNT], sums[COUNT];

int main()
{
    unsigned *device_values, *device_sums, *totals, running = 0;
    uint32_t seed = 3;
    bool ok = true;

    for (unsigned &value : values)
        value = random32(&seed);
    CHECK(cudaMalloc(&device_values, sizeof(values)));
    CHECK(cudaMalloc(&device_sums, sizeof(sums)));
    CHECK(cudaMalloc(&totals, BLOCKS * sizeof(*totals)));
    CHECK(cudaMemcpy(device_values, values, sizeof(values), cudaMemcpyHostToDevice));
    scan_blocks<<<BLOCKS, BLOCK>>>(device_values, device_sums, totals, COUNT);
    scan_blocks<<<1, BLOCK>>>(totals, totals, nullptr, BLOCKS);
    add_offsets<<<BLOCKS, BLOCK>>>(device_sums, totals, COUNT);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(sums, device_sums, sizeof(sums), cudaMemcpyDeviceToHost));

    for (int i = 0; i < COUNT; i++) {
        running += values[i];
        ok = ok && sums[i] == running;
    }
    expect("prefix sums", ok);
    printf("first %u, last %u\n", sums[0], sums[COUNT - 1]);
    print_checksum("all", sums, sizeof(sums));
    CHECK(cudaFree(device_values));
    CHECK(cudaFree(device_sums));
    CHECK(cudaFree(totals));
    return verdict();
}
