/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_shuffle_vote: shuffles of every kind and width, votes, matches and warp barriers, in whole
 * and in part warps.
 */
#include "check.h"

enum { BLOCK = 96, RESULTS = 16, SHORT = 50 };

__global__ void shuffle_and_vote(int (*out)[RESULTS])
{
    const unsigned all = ~0u;
    int me = threadIdx.x, lane = me % 32, same;

    out[me][0] = __shfl_sync(all, me, 5);
    out[me][1] = __shfl_sync(all, me, lane + 3, 8);
    out[me][2] = __shfl_up_sync(all, me, 2);
    out[me][3] = __shfl_up_sync(all, me, 3, 16);
    out[me][4] = __shfl_down_sync(all, me, 4);
    out[me][5] = __shfl_down_sync(all, me, 1, 4);
    out[me][6] = __shfl_xor_sync(all, me, 9);
    out[me][7] = (int)(__shfl_xor_sync(all, me * 1000000007ll, 16) >> 7);
    out[me][8] = (int)__shfl_down_sync(all, me * 0.5, 8);
    out[me][9] = (int)__ballot_sync(all, me % 3 == 0);
    out[me][10] = __any_sync(all, me == 40) + 2 * __all_sync(all, me < 64);
    out[me][11] = (int)__match_any_sync(all, me / 5);
    out[me][12] = (int)__match_all_sync(all, me / 32, &same);
    out[me][12] += same;
    out[me][13] = (int)__match_all_sync(all, lane / 31, &same);
    out[me][13] += same;
    out[me][14] = -1;
    out[me][15] = -1;
    if (lane % 4 == 1) {
        const unsigned quarter = 0x22222222;

        out[me][14] = (int)__ballot_sync(quarter, lane > 12);
        out[me][15] = __shfl_sync(quarter, me, 13);
    }
}

/* A block that is no multiple of 32: its last warp has 18 threads. */
__global__ void part(int *out)
{
    __shared__ int passed[SHORT];
    unsigned mask = threadIdx.x < 32 ? ~0u : (1u << (SHORT - 32)) - 1;
    int sum = threadIdx.x;

    for (int distance = 1; distance < 32; distance *= 2) {
        int other = __shfl_up_sync(mask, sum, distance);

        if (threadIdx.x % 32 >= distance)
            sum += other;
    }
    passed[threadIdx.x] = sum;
    __syncwarp(mask);
    out[threadIdx.x] =
        passed[threadIdx.x ^ 1] + __popc(__ballot_sync(mask, threadIdx.x & 1)) * 1000;
}

/* Blocks vote as a whole, too. */
__global__ void block_votes(int *out)
{
    int odd = __syncthreads_count(threadIdx.x & 1), all = __syncthreads_and(threadIdx.x < 64),
        any = __syncthreads_or(threadIdx.x == 63);

    if (threadIdx.x == 0)
        out[blockIdx.x] = odd + 100 * all + 1000 * any;
}

static int wanted(int r, int me)
{
    int lane = me % 32, base = me - lane, partner;
    unsigned bits = 0;

    switch (r) {
    case 0:
        return base + 5;
    case 1:
        return base + lane / 8 * 8 + (lane + 3) % 8;
    case 2:
        return lane >= 2 ? me - 2 : me;
    case 3:
        return lane % 16 >= 3 ? me - 3 : me;
    case 4:
        return lane + 4 < 32 ? me + 4 : me;
    case 5:
        return lane % 4 < 3 ? me + 1 : me;
    case 6:
        return base + (lane ^ 9);
    case 7:
        return (int)((base + (lane ^ 16)) * 1000000007ll >> 7);
    case 8:
        partner = lane + 8 < 32 ? me + 8 : me;
        return (int)(partner * 0.5);
    case 9:
        for (int i = 0; i < 32; i++)
            bits |= (unsigned)((base + i) % 3 == 0) << i;
        return (int)bits;
    case 10:
        return (base == 32) + 2 * (base < 64);
    case 11:
        for (int i = 0; i < 32; i++)
            bits |= (unsigned)((base + i) / 5 == me / 5) << i;
        return (int)bits;
    case 12:
        return -1 + 1;
    case 13:
        return 0;
    case 14:
        return lane % 4 == 1 ? 0x22222000 : -1;
    default:
        return lane % 4 == 1 ? base + 13 : -1;
    }
}

static void check_warps()
{
    int(*device)[RESULTS], host[BLOCK][RESULTS];

    CHECK(cudaMalloc(&device, sizeof(host)));
    shuffle_and_vote<<<1, BLOCK>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int r = 0; r < RESULTS; r++) {
        bool ok = true;

        for (int i = 0; i < BLOCK; i++)
            ok = ok && host[i][r] == wanted(r, i);
        printf("result %d ", r);
        expect("of all threads", ok);
    }
    print_checksum("all", host, sizeof(host));
    CHECK(cudaFree(device));
}

int main()
{
    int *device, host[SHORT], votes[2];
    bool ok = true;

    check_warps();
    CHECK(cudaMalloc(&device, sizeof(host)));
    part<<<1, SHORT>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < SHORT; i++) {
        int sum = 0;

        for (int j = i / 32 * 32; j <= (i ^ 1); j++)
            sum += j;
        ok = ok && host[i] == sum + (i < 32 ? 16 : 9) * 1000;
    }
    expect("a warp of 18 threads", ok);
    block_votes<<<2, 80>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(votes, device, sizeof(votes), cudaMemcpyDeviceToHost));
    expect("votes of blocks", votes[0] == 1040 && votes[1] == 1040);
    CHECK(cudaFree(device));
    return verdict();
}
