// SPDX-License-Identifier: Apache-2.0
//
// Kernels of the engine's tests. Made into engine.ptx with
//   nvcc -ptx -std=c++17 -arch=compute_90 -o engine.ptx engine.cu
// so that the tests run where no nvcc is.
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cstdio>
#include <cassert>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <mma.h>

namespace cg = cooperative_groups;

extern "C" {

__global__ void add(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        c[i] = a[i] + b[i];
}

__global__ void reduce(const int *in, int *out)
{
    __shared__ int sums[256];
    extern __shared__ int weights[];
    int t = threadIdx.x;
    weights[t] = 2;
    sums[t] = in[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int step = 128; step > 0; step /= 2) {
        if (t < step)
            sums[t] += sums[t + step];
        __syncthreads();
    }
    if (t == 0)
        out[blockIdx.x] = sums[0] * weights[255];
}

__global__ void lanes(unsigned *out)
{
    unsigned lane = threadIdx.x & 31, x = threadIdx.x * 7 % 13;
    unsigned *o = out + threadIdx.x * 16;
    o[0] = __shfl_sync(~0u, x, 5);
    o[1] = __shfl_up_sync(~0u, x, 3);
    o[2] = __shfl_down_sync(~0u, x, 3, 8);
    o[3] = __shfl_xor_sync(~0u, x, 1);
    o[4] = __ballot_sync(~0u, x & 1);
    o[5] = __any_sync(~0u, x == 12) * 2 + __all_sync(~0u, x < 13);
    o[6] = __match_any_sync(~0u, x);
    o[7] = __reduce_add_sync(~0u, x);
    o[8] = __reduce_max_sync(~0u, x);
    o[9] = lane < 7 ? __activemask() : 0;
    if (lane & 1)
        o[10] = __shfl_sync(0xaaaaaaaau, x, 9);
    else
        o[10] = __reduce_xor_sync(0x55555555u, x);
    int all;
    o[11] = __match_all_sync(~0u, 3u, &all) + all;
    cg::coalesced_group group = cg::coalesced_threads();
    o[12] = group.size();
    o[13] = __popc(__ballot_sync(~0u, 1)) + __ffs(x) + __brev(x);
    o[14] = __shfl_sync(~0u, x, lane + 1, 4);
    o[15] = __reduce_min_sync(~0u, x + 1);
}

/* Needs that lanes of one warp make progress while others spin. */
__global__ void spin_lock(int *lock, int *count)
{
    while (atomicCAS(lock, 0, 1) != 0)
        ;
    __threadfence();
    *(volatile int *)count = *(volatile int *)count + 1;
    __threadfence();
    atomicExch(lock, 0);
}

/* One warp waits for another of its block. */
__global__ void spin_warp(volatile int *flag, int *out)
{
    if (threadIdx.x / 32 == 0) {
        while (flag[0] == 0)
            ;
        out[threadIdx.x] = flag[0];
    } else if (threadIdx.x == 32) {
        flag[0] = 17;
    }
}

__global__ void grid_sync(int *cells, int rounds)
{
    cg::grid_group grid = cg::this_grid();
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
    for (int r = 0; r < rounds; r++) {
        int right = cells[(i + 1) % n];
        grid.sync();
        cells[i] = right + 1;
        grid.sync();
    }
}

__global__ void __cluster_dims__(4, 1, 1) cluster(int *out)
{
    __shared__ int mine;
    cg::cluster_group group = cg::this_cluster();
    if (threadIdx.x == 0)
        mine = (int)blockIdx.x * 10;
    group.sync();
    int *other = group.map_shared_rank(&mine, (group.block_rank() + 1) % group.num_blocks());
    if (threadIdx.x == 0)
        out[blockIdx.x] = *other + (int)group.block_rank();
    group.sync();
}

__global__ void atomics(int *i, unsigned *u, float *f, double *d, unsigned long long *l, __half2 *h)
{
    int t = threadIdx.x + blockIdx.x * blockDim.x;
    atomicAdd(&i[0], t);
    atomicMin(&i[1], -t);
    atomicMax(&i[2], t * 3);
    atomicSub(&i[3], 2);
    atomicInc(&u[0], 9);
    atomicDec(&u[1], 6);
    atomicAnd(&u[2], ~(1u << (t & 31)));
    atomicOr(&u[3], 1u << (t & 31));
    atomicXor(&u[4], (unsigned)t);
    atomicAdd(f, 0.5f);
    atomicAdd(d, 0.25);
    atomicAdd(&l[0], 1ull << 33);
    atomicMax(&l[1], (unsigned long long)t << 35);
    atomicAdd(h, __floats2half2_rn(1.0f, 0.5f));
    __shared__ int shared;
    if (threadIdx.x == 0)
        shared = 0;
    __syncthreads();
    atomicAdd(&shared, 1);
    __syncthreads();
    if (threadIdx.x == 0)
        atomicAdd(&i[4], shared);
}

__device__ __noinline__ int fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__device__ __noinline__ int twice(int x)
{
    return 2 * x;
}

__device__ __noinline__ int square(int x)
{
    return x * x;
}

__device__ int (*const functions[2])(int) = {twice, square};

struct big {
    int values[9];
    double last;
};

__device__ __noinline__ big turn(big b, char add)
{
    big r;
    for (int i = 0; i < 9; i++)
        r.values[i] = b.values[8 - i] + add;
    r.last = -b.last;
    return r;
}

__global__ void calls(int *out, big in)
{
    int t = threadIdx.x;
    out[t * 4] = fibonacci(t % 12);
    out[t * 4 + 1] = functions[t & 1](t);
    big r = turn(in, (char)t);
    out[t * 4 + 2] = r.values[t % 9];
    out[t * 4 + 3] = (int)r.last;
}

__global__ void branches(int *out, int n)
{
    int t = threadIdx.x, x = 0;
    for (int i = 0; i < t % 7 + n; i++) {
        switch ((t + i) % 6) {
        case 0: x += 3; break;
        case 1: x *= 5; break;
        case 2: x ^= i; continue;
        case 3: if (x & 1) break; x += t; break;
        case 4: x -= 7; break;
        default: x = -x; break;
        }
        x += i;
        if (x > 100000 || x < -100000)
            goto out;
    }
out:
    out[t] = x;
}

__global__ void local_arrays(int *out, int n)
{
    int values[16], t = threadIdx.x;
    for (int i = 0; i < 16; i++)
        values[(i * n + t) & 15] = i * t;
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum = sum * 3 + values[(i + n) & 15];
    out[t] = sum;
}

__device__ int counter = 5;
__constant__ int table[4] = {10, 20, 30, 40};
__device__ int *pointer = &counter;

__global__ void globals(int *out)
{
    out[threadIdx.x] = table[threadIdx.x & 3] + *pointer;
}

__global__ void count_up(void)
{
    atomicAdd(&counter, 1);
}

__global__ void print(int n)
{
    if (threadIdx.x < (unsigned)n)
        printf("thread %u: %5.2f|%-6s|%c|%lld|%x|%%|%p\n", threadIdx.x, threadIdx.x * 1.5, "text", 'x', -(1ll << 40),
               0xbeefu, (void *)16);
}

__global__ void fails(int n)
{
    assert(n != (int)threadIdx.x);
}

__global__ void traps(void)
{
    __trap();
}

__global__ void writes(int *at)
{
    *at = 1;
}

__global__ void heap(unsigned long long *out)
{
    int *mine = (int *)malloc(16 * sizeof(int) + threadIdx.x);
    for (int i = 0; i < 16; i++)
        mine[i] = i * (int)threadIdx.x;
    __syncthreads();
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum += mine[i];
    free(mine);
    out[threadIdx.x] = (unsigned long long)sum;
}

__global__ void copies(const int4 *in, int4 *out)
{
    __shared__ int4 buffer[64];
    __pipeline_memcpy_async(&buffer[threadIdx.x], &in[threadIdx.x], 16);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    out[threadIdx.x] = buffer[63 - threadIdx.x];
}

__global__ void halves(const __half2 *a, const __half2 *b, __half2 *c)
{
    int t = threadIdx.x;
    c[t] = __hfma2(a[t], b[t], __hadd2(a[t], b[t]));
}

__global__ void barriers(int *out)
{
    __shared__ int cells[128];
    unsigned t = threadIdx.x;
    cells[t] = 0;
    __syncthreads();
    if (t < 64) {
        cells[t] = (int)t;
        asm volatile("bar.arrive 1, 128;");
    } else {
        asm volatile("bar.sync 1, 128;");
        cells[t] = cells[t - 64] + 1;
    }
    int n = __syncthreads_count(t % 3 == 0), all = __syncthreads_and(t < 128), any = __syncthreads_or(t == 200);
    out[t] = cells[t] + n * 1000 + all * 100000 + any * 1000000;
}

__global__ void deadlock(void)
{
    if (threadIdx.x < 32)
        asm volatile("bar.sync 1, 64;");
    else
        asm volatile("bar.sync 2, 64;");
}

__global__ void matrix(const float *a, const float *b, float *c, int n)
{
    __shared__ float as[16][16], bs[16][16];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        as[y][x] = a[row * n + k + x];
        bs[y][x] = b[(k + y) * n + column];
        __syncthreads();
        for (int i = 0; i < 16; i++)
            sum += as[y][i] * bs[i][x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}

__global__ void awaits(const int *in, int *out, int rounds)
{
    using barrier = cuda::barrier<cuda::thread_scope_block>;
    __shared__ alignas(16) int cells[64];
    __shared__ barrier ready;
    int t = threadIdx.x;
    if (t == 0)
        init(&ready, 64);
    __syncthreads();
    int sum = 0;
    for (int r = 0; r < rounds; r++) {
        cells[t] = t * (r + 1);
        barrier::arrival_token token = ready.arrive();
        sum += r;
        ready.wait(std::move(token));
        sum += cells[63 - t];
        ready.arrive_and_wait();
    }
    if (t == 0) {
        cuda::memcpy_async(cells, in, cuda::aligned_size_t<16>(sizeof(cells)), ready);
    }
    ready.arrive_and_wait();
    out[t] = sum * 1000 + cells[63 - t];
}

__global__ void tile_of_warps(int *out)
{
    __shared__ cg::block_tile_memory<128> memory;
    cg::thread_block block = cg::this_thread_block(memory);
    auto tile = cg::tiled_partition<64>(block);
    out[threadIdx.x] = (int)(tile.any(threadIdx.x == 70) * 100 + tile.meta_group_rank());
}

__global__ void tensor(const __half *a, const __half *b, float *c)
{
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
    wmma::fill_fragment(fc, 1.0f);
    wmma::load_matrix_sync(fa, a, 16);
    wmma::load_matrix_sync(fb, b, 16);
    wmma::mma_sync(fc, fa, fb, fc);
    for (int i = 0; i < fc.num_elements; i++)
        fc.x[i] *= 2;
    wmma::store_matrix_sync(c, fc, 16, wmma::mem_row_major);
}
}
