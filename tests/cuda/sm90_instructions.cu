/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm90_instructions: what compilers emit for newer devices: atomics of vectors and of 128 bits,
 * copies in bulk with barriers, stores and sums in another block of the cluster, floats of 8 bits,
 * words in parts.
 */
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "check.h"

#pragma nv_diag_suppress static_var_with_dynamic_init

namespace cg = cooperative_groups;

static int *numbers;

/* ---- atomics ---- */

struct alignas(16) pair {
    unsigned long long a, b;
};

__global__ void atomics(float2 *two, float4 *four, __half2 *halves, __nv_bfloat162 *brains,
                        pair *wide, pair *last)
{
    atomicAdd(two, make_float2(1, 2));
    atomicAdd(four, make_float4(1, 2, 3, 4));
    atomicAdd(halves, __floats2half2_rn(1, 2));
    atomicAdd(brains, __floats2bfloat162_rn(0.5f, 1));
    for (;;) { /* a sum of 128 bits */
        pair old = *wide, sum = {old.a + 1, old.b + 3};
        pair seen = atomicCAS(wide, old, sum);
        if (seen.a == old.a && seen.b == old.b)
            break;
    }
    if (threadIdx.x == 0)
        *last = atomicExch(last, pair{7, 8});
}

static void all_atomics()
{
    float2 *two = (float2 *)numbers;
    float4 *four = (float4 *)(numbers + 4);
    __half2 *halves = (__half2 *)(numbers + 8);
    __nv_bfloat162 *brains = (__nv_bfloat162 *)(numbers + 9);
    pair *wide = (pair *)(numbers + 12), *last = wide + 1;
    memset(numbers, 0, 256);
    last->a = 1, last->b = 2;
    atomics<<<1, 64>>>(two, four, halves, brains, wide, last);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("two floats", two->x == 64 && two->y == 128);
    expect("four floats", four->x == 64 && four->y == 128 && four->z == 192 && four->w == 256);
    expect("pairs of short floats", __low2float(*halves) == 64 && __high2float(*halves) == 128 &&
                                        __low2float(*brains) == 32 && __high2float(*brains) == 64);
    expect("128 bits", wide->a == 64 && wide->b == 192 && last->a == 1 && last->b == 2);
}

/* ---- copies in bulk ---- */

__global__ void bulk(int *out, const int *in)
{
    __shared__ alignas(128) int block[256];
    __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
    cuda::barrier<cuda::thread_scope_block>::arrival_token token;
    if (threadIdx.x == 0) {
        init(&barrier, blockDim.x);
        cuda::device::experimental::fence_proxy_async_shared_cta();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        cuda::memcpy_async(block, in, cuda::aligned_size_t<16>(sizeof(block)), barrier);
        token = barrier.arrive();
    } else {
        token = barrier.arrive();
    }
    barrier.wait(std::move(token));
    block[threadIdx.x] += (int)threadIdx.x;
    cuda::device::experimental::fence_proxy_async_shared_cta();
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned from = (unsigned)__cvta_generic_to_shared(block);
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], [%1], %2;"
                     "cp.async.bulk.commit_group;"
                     "cp.async.bulk.wait_group.read 0;" ::"l"(out),
                     "r"(from), "r"((unsigned)sizeof(block))
                     : "memory");
    }
}

static void all_bulk()
{
    int *in = numbers, *out = numbers + 256;
    bool ok = true;
    for (int i = 0; i < 256; i++)
        in[i] = i * 5, out[i] = 1000;
    bulk<<<2, 256>>>(out, in);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 256; i++)
        ok = ok && out[i] == 1000 + 2 * 6 * i;
    expect("copies in bulk, and sums", ok);
}

/* ---- another block's shared memory ---- */

__global__ void __cluster_dims__(2, 1, 1) neighbour(int *out)
{
    __shared__ alignas(16) int cells[8];
    __shared__ alignas(8) unsigned long long barrier;
    cg::cluster_group cluster = cg::this_cluster();
    unsigned rank = cluster.block_rank(), here = (unsigned)__cvta_generic_to_shared(cells),
             bar = (unsigned)__cvta_generic_to_shared(&barrier), there, there_bar, told;
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;"
                     "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 24;" ::"r"(bar)
                     : "memory");
        cells[5] = 100;
    }
    cluster.sync();
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank ^ 1));
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(there_bar)
                 : "r"(bar), "r"(rank ^ 1));
    asm volatile("getctarank.shared::cluster.u32 %0, %1;" : "=r"(told) : "r"(there));
    if (threadIdx.x == 0) {
        int base = (int)rank * 10;
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], "
                     "{%1, %2, %3, %4}, [%5];" ::"r"(there),
                     "r"(base), "r"(base + 1), "r"(base + 2), "r"(base + 3), "r"(there_bar)
                     : "memory");
        asm volatile(
            "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                there + 16),
            "r"(base + 4), "r"(there_bar)
            : "memory");
        asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add"
                     ".u32 [%0], %1, [%2];" ::"r"(there + 20),
                     "r"(base + 5), "r"(there_bar)
                     : "memory");
    }
    asm volatile("{ .reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], 0;"
                 "@!p bra again; }" ::"r"(bar)
                 : "memory");
    if (threadIdx.x < 6)
        out[rank * 8 + threadIdx.x] = cells[threadIdx.x];
    if (threadIdx.x == 6)
        out[rank * 8 + 6] = (int)told;
    cluster.sync();
}

static void all_neighbours()
{
    bool ok = true;
    neighbour<<<2, 32>>>(numbers);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int rank = 0; rank < 2; rank++)
        for (int i = 0; i < 7; i++)
            ok = ok && numbers[rank * 8 + i] == (i == 6   ? rank ^ 1
                                                 : i == 5 ? 100 + (rank ^ 1) * 10 + 5
                                                          : (rank ^ 1) * 10 + i);
    expect("stores into the other block", ok);
}

/* ---- floats of 8 bits, words in parts ---- */

__global__ void tiny(float *out, const float *in)
{
    int i = threadIdx.x;
    __nv_fp8_e4m3 a(in[i]);
    __nv_fp8_e5m2 b(in[i]);
    out[i * 2] = float(a);
    out[i * 2 + 1] = float(b);
}

static void all_tiny()
{
    static const float in[8] = {0, 1, -1.0625f, 17.1f, 500, -70000, 0.001f, 0.3f};
    static const float out[16] = {0,   0,   1,    1,      -1,          -1,       18,      16,
                                  448, 512, -448, -57344, 0x1p-9f * 1, 0x1p-10f, 0.3125f, 0.3125f};
    float *place = (float *)numbers, *results = place + 8;
    bool ok = true;
    memcpy(place, in, sizeof(in));
    tiny<<<1, 8>>>(results, place);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 16; i++)
        ok = ok && results[i] == out[i];
    expect("floats of 8 bits", ok);
}

__global__ void parts(unsigned *out, unsigned a, unsigned b)
{
    asm("vabsdiff4.u32.u32.u32.add %0, %1, %2, %3;" : "=r"(out[0]) : "r"(a), "r"(b), "r"(1000));
    asm("vadd4.s32.s32.s32.sat %0, %1, %2, %3;" : "=r"(out[1]) : "r"(a), "r"(b), "r"(0));
    asm("vsub2.u32.u32.u32 %0, %1, %2, %3;" : "=r"(out[2]) : "r"(a), "r"(b), "r"(0));
    asm("vmax2.s32.s32.s32 %0, %1, %2, %3;" : "=r"(out[3]) : "r"(a), "r"(b), "r"(0));
    asm("vmin4.u32.u32.u32 %0, %1, %2, %3;" : "=r"(out[4]) : "r"(a), "r"(b), "r"(0));
    asm("vset4.u32.u32.gt %0, %1, %2, %3;" : "=r"(out[5]) : "r"(a), "r"(b), "r"(0));
    asm("vavrg4.u32.u32.u32 %0, %1, %2, %3;" : "=r"(out[6]) : "r"(a), "r"(b), "r"(0));
}

static void all_parts()
{
    unsigned *out = (unsigned *)numbers;
    parts<<<1, 1>>>(out, 0x7f10ff80u, 0x0120fe81u);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("sum of differences", out[0] == 1000 + 0x7e + 0x10 + 1 + 1);
    expect("saturated sums", out[1] == 0x7f30fd80u);
    expect("differences of halves", out[2] == 0x7df000ffu);
    expect("larger and smaller", out[3] == 0x7f10ff80u && out[4] == 0x0110fe80u);
    expect("comparisons, means", out[5] == 0x01000100u && out[6] == 0x4018ff81u);
}

int main()
{
    CHECK(cudaMallocManaged(&numbers, 4096));
    all_atomics();
    all_bulk();
    all_neighbours();
    all_tiny();
    all_parts();
    CHECK(cudaFree(numbers));
    return verdict();
}
