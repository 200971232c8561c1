/* SPDX-License-Identifier: Apache-2.0 */
/*
 * divergence: threads of a warp that go different ways: nested branches, loops of different length,
 * early returns before barriers' neighbours, switches, breaks out of two loops.
 */
#include "check.h"

enum { BLOCK = 128, BLOCKS = 6, COUNT = BLOCK * BLOCKS };

__host__ __device__ static unsigned collatz(unsigned n)
{
    unsigned steps = 0;

    while (n > 1) {
        n = n % 2 ? 3 * n + 1 : n / 2;
        steps++;
    }
    return steps;
}

__host__ __device__ static int nested(int i)
{
    int result = 0;

    if (i % 2) {
        if (i % 3)
            result = i * 2;
        else if (i % 5)
            result = i * 3;
        else
            for (int k = 0; k < i % 7; k++)
                result += k & 1 ? k : -k * i;
    } else {
        switch (i % 16) {
        case 0:
            result = 100;
            break;
        case 2:
            result = 200; /* falls through */
        case 4:
            result += 300;
            break;
        case 6:
        case 8:
            result = -i;
            break;
        default:
            result = i / 2;
        }
    }
    return result;
}

__host__ __device__ static int breaks(int i)
{
    int found = -1;

    for (int a = 1; a < 40 && found < 0; a++)
        for (int b = a; b < 40; b++) {
            if ((a + b) % 3 == 0)
                continue;
            if (a * b % 97 == i % 97) {
                found = a * 100 + b;
                break;
            }
        }
    return found;
}

__global__ void run(unsigned *steps, int *nests, int *founds, int *ranks)
{
    __shared__ int later;
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (threadIdx.x == 0)
        later = 0;
    __syncthreads();
    steps[i] = collatz((unsigned)i + 1);
    nests[i] = nested(i);
    founds[i] = breaks(i);
    if (i % 4 == 3) {
        atomicAdd(&later, 1000);
    } else {
        for (int k = 0; k < i % 9; k++)
            atomicAdd(&later, 1);
    }
    __syncthreads();
    ranks[i] = later;
    if (i % 5 == 0)
        return;
    ranks[i] += 7;
}

/* Whole warps leave before a barrier that the others wait at. */
__global__ void leave(int *out)
{
    __shared__ int line[BLOCK];

    if (threadIdx.x >= 96)
        return;
    line[threadIdx.x] = threadIdx.x * 3;
    __syncthreads();
    out[threadIdx.x] = line[95 - threadIdx.x];
}

int main()
{
    static int host[4][COUNT], left[96];
    bool ok[4] = {true, true, true, true}, left_ok = true;
    int *device;

    CHECK(cudaMalloc(&device, sizeof(host)));
    run<<<BLOCKS, BLOCK>>>((unsigned *)device, device + COUNT, device + 2 * COUNT,
                           device + 3 * COUNT);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < COUNT; i++) {
        int later = 0;

        for (int k = i / BLOCK * BLOCK; k < (i / BLOCK + 1) * BLOCK; k++)
            later += k % 4 == 3 ? 1000 : k % 9;
        ok[0] = ok[0] && host[0][i] == (int)collatz((unsigned)i + 1);
        ok[1] = ok[1] && host[1][i] == nested(i);
        ok[2] = ok[2] && host[2][i] == breaks(i);
        ok[3] = ok[3] && host[3][i] == later + (i % 5 ? 7 : 0);
    }
    expect("loops of different length", ok[0]);
    expect("nested branches", ok[1]);
    expect("breaks", ok[2]);
    expect("together again at a barrier", ok[3]);
    print_checksum("all", host, sizeof(host));
    leave<<<1, BLOCK>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(left, device, sizeof(left), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 96; i++)
        left_ok = left_ok && left[i] == (95 - i) * 3;
    expect("warps that left", left_ok);
    CHECK(cudaFree(device));
    return verdict();
}
