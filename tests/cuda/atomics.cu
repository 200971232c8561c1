/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomics: every atomic operation and type, in global and in shared memory, of block and of system
 * scope; a lock and a queue made of them.
 */
#include "check.h"

enum { BLOCKS = 8, BLOCK = 128, THREADS = BLOCKS * BLOCK };

struct cells {
    int add, sub, exchange, least, greatest, bit_and, bit_or, bit_xor;
    unsigned increment, decrement, unsigned_least, unsigned_greatest;
    unsigned long long wide_add, wide_and, wide_greatest;
    long long wide_least;
    float float_add;
    double double_add;
    int swapped;
};

__global__ void all_kinds(cells *c)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, old, seen;

    atomicAdd(&c->add, i);
    atomicSub(&c->sub, 2);
    atomicMin(&c->least, 500 - i);
    atomicMax(&c->greatest, i * 3 % 1000);
    atomicAnd(&c->bit_and, ~(1 << (i % 20)));
    atomicOr(&c->bit_or, 1 << (i % 31));
    atomicXor(&c->bit_xor, i);
    atomicInc(&c->increment, 99);
    atomicDec(&c->decrement, 70);
    atomicMin(&c->unsigned_least, 0x80000000u + i);
    atomicMax(&c->unsigned_greatest, 0x80000000u + i);
    atomicAdd(&c->wide_add, (unsigned long long)i << 32);
    atomicAnd(&c->wide_and, ~(1ull << (i % 64)));
    atomicMax(&c->wide_greatest, (unsigned long long)i * i * i);
    atomicMin(&c->wide_least, -(long long)i << 33);
    atomicAdd(&c->float_add, 0.5f);
    atomicAdd(&c->double_add, 0.25);
    if (i % 64 == 0)
        atomicExch(&c->exchange, 7);
    /* Adds by compare and swap. */
    for (old = c->swapped; (seen = atomicCAS(&c->swapped, old, old + i)) != old; old = seen)
        ;
}

/* The same in shared memory, and what came out is added up with atomics of other scopes. */
__global__ void shared_kinds(int *sums)
{
    __shared__ int sum, most;
    __shared__ unsigned long long wide;
    __shared__ float part;

    if (threadIdx.x == 0) {
        sum = most = 0;
        wide = 0;
        part = 0;
    }
    __syncthreads();
    atomicAdd_block(&sum, 1);
    atomicMax(&most, (int)threadIdx.x);
    atomicAdd(&wide, 1ull << 40);
    atomicAdd(&part, 0.5f);
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd_system(&sums[0], sum);
        atomicAdd(&sums[1], most);
        atomicAdd(&sums[2], (int)(wide >> 40));
        atomicAdd(&sums[3], (int)part);
    }
}

/* Threads of different blocks, one in each, hold a lock in turn and do what is not atomic. */
__global__ void locked(int *lock, volatile int *plain)
{
    if (threadIdx.x != 0)
        return;
    for (int i = 0; i < 20; i++) {
        while (atomicCAS(lock, 0, 1) != 0)
            ;
        __threadfence();
        *plain = *plain + 1;
        __threadfence();
        atomicExch(lock, 0);
    }
}

/* The last block to finish sums what all others left. */
__global__ void last_block(unsigned *parts, unsigned *done, unsigned *total)
{
    __shared__ bool last;

    if (threadIdx.x == 0) {
        parts[blockIdx.x] = (blockIdx.x + 1) * 11;
        __threadfence();
        last = atomicAdd(done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0)
        for (unsigned b = 0; b < gridDim.x; b++)
            *total += ((volatile unsigned *)parts)[b];
}

static cells wanted_cells()
{
    cells c = {};

    c.bit_and = c.least = -1;
    c.unsigned_least = ~0u;
    c.wide_and = ~0ull;
    c.least = 1 << 30;
    for (int i = 0; i < THREADS; i++) {
        c.add += i;
        c.sub -= 2;
        c.least = 500 - i < c.least ? 500 - i : c.least;
        c.greatest = i * 3 % 1000 > c.greatest ? i * 3 % 1000 : c.greatest;
        c.bit_and &= ~(1 << (i % 20));
        c.bit_or |= 1 << (i % 31);
        c.bit_xor ^= i;
        c.increment = c.increment >= 99 ? 0 : c.increment + 1;
        c.decrement = c.decrement == 0 || c.decrement > 70 ? 70 : c.decrement - 1;
        c.wide_add += (unsigned long long)i << 32;
        c.wide_and &= ~(1ull << (i % 64));
    }
    c.unsigned_least = 0x80000000u;
    c.unsigned_greatest = 0x80000000u + THREADS - 1;
    c.wide_greatest = (unsigned long long)(THREADS - 1) * (THREADS - 1) * (THREADS - 1);
    c.wide_least = -((long long)(THREADS - 1) << 33);
    c.float_add = THREADS * 0.5f;
    c.double_add = THREADS * 0.25;
    c.exchange = 7;
    c.swapped = c.add;
    return c;
}

static void check_kinds()
{
    cells start = {}, got, wanted = wanted_cells();
    cells *device;

    start.bit_and = -1;
    start.least = 1 << 30;
    start.unsigned_least = ~0u;
    start.wide_and = ~0ull;
    CHECK(cudaMalloc(&device, sizeof(got)));
    CHECK(cudaMemcpy(device, &start, sizeof(start), cudaMemcpyHostToDevice));
    all_kinds<<<BLOCKS, BLOCK>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&got, device, sizeof(got), cudaMemcpyDeviceToHost));
    expect("add, sub, exchange",
           got.add == wanted.add && got.sub == wanted.sub && got.exchange == wanted.exchange);
    expect("least and greatest", got.least == wanted.least && got.greatest == wanted.greatest &&
                                     got.unsigned_least == wanted.unsigned_least &&
                                     got.unsigned_greatest == wanted.unsigned_greatest);
    expect("bits", got.bit_and == wanted.bit_and && got.bit_or == wanted.bit_or &&
                       got.bit_xor == wanted.bit_xor);
    expect("increment and decrement",
           got.increment == wanted.increment && got.decrement == wanted.decrement);
    expect("64 bits", got.wide_add == wanted.wide_add && got.wide_and == wanted.wide_and &&
                          got.wide_greatest == wanted.wide_greatest &&
                          got.wide_least == wanted.wide_least);
    expect("float and double",
           got.float_add == wanted.float_add && got.double_add == wanted.double_add);
    expect("compare and swap", got.swapped == wanted.swapped);
    printf("%d %d %u %u %g\n", got.add, got.bit_and, got.increment, got.decrement, got.double_add);
    CHECK(cudaFree(device));
}

int main()
{
    unsigned *parts, total[2] = {0};
    int *device, sums[4], pair[2];

    check_kinds();
    CHECK(cudaMalloc(&device, sizeof(sums)));
    CHECK(cudaMemset(device, 0, sizeof(sums)));
    shared_kinds<<<BLOCKS, BLOCK>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(sums, device, sizeof(sums), cudaMemcpyDeviceToHost));
    expect("shared memory", sums[0] == THREADS && sums[1] == BLOCKS * (BLOCK - 1) &&
                                sums[2] == THREADS && sums[3] == THREADS / 2);
    CHECK(cudaMemset(device, 0, sizeof(sums)));
    locked<<<4, 32>>>(device, device + 1);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(pair, device, sizeof(pair), cudaMemcpyDeviceToHost));
    expect("a lock", pair[0] == 0 && pair[1] == 80);
    CHECK(cudaMalloc(&parts, 64 * sizeof(*parts)));
    CHECK(cudaMemset(parts, 0, 64 * sizeof(*parts)));
    last_block<<<32, 32>>>(parts, parts + 32, parts + 33);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(total, parts + 32, sizeof(total), cudaMemcpyDeviceToHost));
    expect("the last block", total[0] == 32 && total[1] == 11 * 32 * 33 / 2);
    CHECK(cudaFree(device));
    CHECK(cudaFree(parts));
    return verdict();
}
