/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cooperative_groups: tiles of a block, groups of the threads that took one branch, and a grid that
 * synchronises itself.
 */
#include <cooperative_groups.h>

#include "check.h"

namespace cg = cooperative_groups;

enum { BLOCK = 64, BLOCKS = 6, ROUNDS = 20 };

/* Each tile of 8 sums its ranks' squares and passes values around. */
__global__ void tiles(int *sums, int *passed)
{
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
    int mine = block.thread_rank() * block.thread_rank();

    for (int distance = tile.size() / 2; distance > 0; distance /= 2)
        mine += tile.shfl_down(mine, distance);
    if (tile.thread_rank() == 0)
        sums[tile.meta_group_rank()] = mine;
    passed[block.thread_rank()] = tile.shfl((int)block.thread_rank(), (tile.thread_rank() + 1) % 8);
    tile.sync();
    if (tile.any(tile.thread_rank() == 3) && !tile.all(tile.thread_rank() == 3))
        passed[block.thread_rank()] += 1000;
}

/* One atomic for all threads of a branch. */
__global__ void branches(int *counter, int *places)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i % 3 == 0) {
        cg::coalesced_group active = cg::coalesced_threads();
        int first = 0;

        if (active.thread_rank() == 0)
            first = atomicAdd(counter, active.size());
        places[i] = active.shfl(first, 0) + active.thread_rank();
    }
}

/* Each round needs all blocks' results of the round before. */
__global__ void rounds(unsigned *values, unsigned count)
{
    cg::grid_group grid = cg::this_grid();
    unsigned me = grid.thread_rank();

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned next = values[(me + 1) % count] + values[(me + count / 2) % count] * 3;

        grid.sync();
        values[me] = next;
        grid.sync();
    }
}

static void check_tiles()
{
    int *sums, *passed, host_sums[BLOCK / 8], host_passed[BLOCK];
    bool sums_ok = true, passed_ok = true;

    CHECK(cudaMalloc(&sums, sizeof(host_sums)));
    CHECK(cudaMalloc(&passed, sizeof(host_passed)));
    tiles<<<1, BLOCK>>>(sums, passed);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host_sums, sums, sizeof(host_sums), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(host_passed, passed, sizeof(host_passed), cudaMemcpyDeviceToHost));
    for (int t = 0; t < BLOCK / 8; t++) {
        int wanted = 0;

        for (int i = t * 8; i < t * 8 + 8; i++)
            wanted += i * i;
        sums_ok = sums_ok && host_sums[t] == wanted;
    }
    for (int i = 0; i < BLOCK; i++)
        passed_ok = passed_ok && host_passed[i] == i / 8 * 8 + (i + 1) % 8 + 1000;
    expect("sums of tiles", sums_ok);
    expect("passed around in tiles", passed_ok);
    CHECK(cudaFree(sums));
    CHECK(cudaFree(passed));
}

static void check_branches()
{
    int *device, host[1 + 256], wanted = 0;
    bool seen[256] = {false}, ok = true;

    CHECK(cudaMalloc(&device, sizeof(host)));
    CHECK(cudaMemset(device, 0, sizeof(host)));
    branches<<<4, 64>>>(device, device + 1);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 256; i += 3, wanted++) {
        int place = host[1 + i];

        ok = ok && place >= 0 && place < 256 && !seen[place];
        if (ok)
            seen[place] = true;
    }
    for (int i = 0; i < wanted; i++)
        ok = ok && seen[i];
    expect("places of a branch", ok && host[0] == wanted);
    printf("%d\n", host[0]);
    CHECK(cudaFree(device));
}

static void check_grid()
{
    unsigned count = BLOCK * BLOCKS, *device, host[BLOCK * BLOCKS], wanted[BLOCK * BLOCKS],
             next[BLOCK * BLOCKS];
    int supported;

    CHECK(cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, 0));
    expect("cooperative launches are supported", supported == 1);
    for (unsigned i = 0; i < count; i++)
        wanted[i] = i * 2654435761u;
    CHECK(cudaMalloc(&device, sizeof(host)));
    CHECK(cudaMemcpy(device, wanted, sizeof(wanted), cudaMemcpyHostToDevice));
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < count; i++)
            next[i] = wanted[(i + 1) % count] + wanted[(i + count / 2) % count] * 3;
        memcpy(wanted, next, sizeof(wanted));
    }
    void *arguments[] = {&device, &count};
    CHECK(cudaLaunchCooperativeKernel(rounds, dim3(BLOCKS), dim3(BLOCK), arguments, 0, 0));
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    expect("a grid that synchronises itself", memcmp(host, wanted, sizeof(host)) == 0);
    print_checksum("values", host, sizeof(host));

    printf("more blocks than fit: %s\n", cudaGetErrorName(cudaLaunchCooperativeKernel(
                                             rounds, dim3(1 << 20), dim3(BLOCK), arguments, 0, 0)));
    cudaGetLastError();
    CHECK(cudaFree(device));
}

int main()
{
    check_tiles();
    check_branches();
    check_grid();
    return verdict();
}
