/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor_cores: products of matrices that a warp holds together. mma with the layouts that PTX
 * documents, for every type; wmma; tiles between shared memory and registers. Numbers are small, so
 * that every product and sum is exact.
 */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

#include "check.h"

using namespace nvcuda;

enum { MOST = 32 * 1024 };

static unsigned *words; /* A, B, C as each lane has them; D comes back */
static int *numbers;    /* host: A, B, C as matrices */

/* ---- mma: registers of each lane at in[register * 32 + lane]: A, B, C; D to out ---- */

#define IN(base, i) "r"(in[((base) + (i)) * 32 + threadIdx.x])

/* a, b, c: numbers of registers; D has as many as C. */
#define MMA_4(name, op)                                                                      \
    __global__ void name(const unsigned *in, unsigned *out)                                  \
    {                                                                                        \
        unsigned d[4];                                                                       \
        asm volatile(op " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"         \
                     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                        \
                     : IN(0, 0), IN(0, 1), IN(0, 2), IN(0, 3), IN(4, 0), IN(4, 1), IN(6, 0), \
                       IN(6, 1), IN(6, 2), IN(6, 3));                                        \
        for (int i = 0; i < 4; i++)                                                          \
            out[i * 32 + threadIdx.x] = d[i];                                                \
    }
#define MMA_2(name, op)                                                                       \
    __global__ void name(const unsigned *in, unsigned *out)                                   \
    {                                                                                         \
        unsigned d[4];                                                                        \
        asm volatile(op " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"                      \
                     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                         \
                     : IN(0, 0), IN(0, 1), IN(2, 0), IN(3, 0), IN(3, 1), IN(3, 2), IN(3, 3)); \
        for (int i = 0; i < 4; i++)                                                           \
            out[i * 32 + threadIdx.x] = d[i];                                                 \
    }
#define MMA_1(name, op)                                         \
    __global__ void name(const unsigned *in, unsigned *out)     \
    {                                                           \
        unsigned d[2];                                          \
        asm volatile(op " {%0,%1}, {%2}, {%3}, {%4,%5};"        \
                     : "=r"(d[0]), "=r"(d[1])                   \
                     : IN(0, 0), IN(1, 0), IN(2, 0), IN(2, 1)); \
        for (int i = 0; i < 2; i++)                             \
            out[i * 32 + threadIdx.x] = d[i];                   \
    }
/* C and D of halves */
#define MMA_H(name, op)                                                                      \
    __global__ void name(const unsigned *in, unsigned *out)                                  \
    {                                                                                        \
        unsigned d[2];                                                                       \
        asm volatile(op " {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%8,%9};"                         \
                     : "=r"(d[0]), "=r"(d[1])                                                \
                     : IN(0, 0), IN(0, 1), IN(0, 2), IN(0, 3), IN(4, 0), IN(4, 1), IN(6, 0), \
                       IN(6, 1));                                                            \
        for (int i = 0; i < 2; i++)                                                          \
            out[i * 32 + threadIdx.x] = d[i];                                                \
    }

#define OP(shape, types) "mma.sync.aligned." shape ".row.col." types
MMA_4(f16_16, OP("m16n8k16", "f32.f16.f16.f32"))
MMA_2(f16_8, OP("m16n8k8", "f32.f16.f16.f32"))
MMA_H(f16_sum, OP("m16n8k16", "f16.f16.f16.f16"))
MMA_4(bf16_16, OP("m16n8k16", "f32.bf16.bf16.f32"))
MMA_2(bf16_8, OP("m16n8k8", "f32.bf16.bf16.f32"))
MMA_4(tf32_8, OP("m16n8k8", "f32.tf32.tf32.f32"))
MMA_2(tf32_4, OP("m16n8k4", "f32.tf32.tf32.f32"))
MMA_4(s8_32, OP("m16n8k32", "s32.s8.s8.s32"))
MMA_2(s8_16, OP("m16n8k16", "s32.s8.u8.s32.satfinite"))
MMA_1(s8_small, OP("m8n8k16", "s32.u8.s8.s32"))
MMA_4(s4_64, OP("m16n8k64", "s32.s4.s4.s32"))
MMA_2(s4_32, OP("m16n8k32", "s32.u4.s4.s32"))
MMA_1(s4_small, OP("m8n8k32", "s32.s4.u4.s32"))
MMA_4(b1_256, OP("m16n8k256", "s32.b1.b1.s32.and.popc"))
MMA_2(b1_128, OP("m16n8k128", "s32.b1.b1.s32.xor.popc"))
MMA_4(e4m3_32, OP("m16n8k32", "f32.e4m3.e5m2.f32"))

__global__ void f64_4(const double *in, double *out)
{
    double d[2];
    unsigned t = threadIdx.x;
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%4,%5};"
                 : "=d"(d[0]), "=d"(d[1])
                 : "d"(in[t]), "d"(in[32 + t]), "d"(in[64 + t]), "d"(in[96 + t]));
    out[t] = d[0];
    out[32 + t] = d[1];
}

/* ---- how numbers become bits ---- */

typedef unsigned (*encode)(int);

static unsigned to_f16(int x)
{
    __half h = __float2half((float)x);
    unsigned short bits;
    memcpy(&bits, &h, 2);
    return bits;
}

static unsigned to_bf16(int x)
{
    float f = (float)x;
    unsigned bits;
    memcpy(&bits, &f, 4);
    return bits >> 16;
}

static unsigned to_f32(int x)
{
    float f = (float)x;
    unsigned bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static unsigned to_s8(int x)
{
    return (unsigned char)x;
}
static unsigned to_s4(int x)
{
    return x & 15;
}
static unsigned to_b1(int x)
{
    return x & 1;
}

static unsigned to_fp8(int x, int exponent_bits)
{
    unsigned fraction_bits = 7 - exponent_bits, bias = (1u << (exponent_bits - 1)) - 1, e = 0;
    unsigned magnitude = (unsigned)abs(x);
    if (x == 0)
        return 0;
    while (magnitude >> (e + 1))
        e++;
    unsigned fraction = (magnitude << fraction_bits >> e) & ((1u << fraction_bits) - 1);
    return (x < 0 ? 128u : 0) | (e + bias) << fraction_bits | fraction;
}

static unsigned to_e4m3(int x)
{
    return to_fp8(x, 4);
}
static unsigned to_e5m2(int x)
{
    return to_fp8(x, 5);
}

static int number(int i, int low, int high)
{
    return low + (i * 2654435761u >> 13) % (unsigned)(high - low + 1);
}

/* ---- one shape ---- */

struct shape {
    int m, k, bits;
    int a_low, a_high, b_low, b_high;
    encode a, b, sum;
    int sum_bits, logic; /* logic: 1 and, 2 xor */
};

/* Rows and columns as the tables of PTX say. */
static void lay_out(const shape &s, const int *a, const int *b, const int *c)
{
    int each = 32 / s.bits, run = 4 * each, at = 0, halves = s.m / 8;
    memset(words, 0, MOST);
    for (int block = 0; block < s.k / run; block++)
        for (int half = 0; half < halves; half++, at++)
            for (int lane = 0; lane < 32; lane++)
                for (int i = 0; i < each; i++)
                    words[at * 32 + lane] |=
                        s.a(a[(lane / 4 + 8 * half) * s.k + block * run + lane % 4 * each + i])
                        << i * s.bits;
    for (int block = 0; block < s.k / run; block++, at++)
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < each; i++)
                words[at * 32 + lane] |= s.b(b[(block * run + lane % 4 * each + i) * 8 + lane / 4])
                                         << i * s.bits;
    for (int half = 0; half < halves; half++)
        for (int i = 0; i < 2; i++) {
            for (int lane = 0; lane < 32; lane++)
                words[at * 32 + lane] |= s.sum(c[(lane / 4 + 8 * half) * 8 + lane % 4 * 2 + i])
                                         << (s.sum_bits == 16 ? i * 16 : 0);
            at += s.sum_bits == 32 || i == 1;
        }
}

static bool matches(const shape &s, const unsigned *out, const int *a, const int *b, const int *c)
{
    bool ok = true;
    for (int half = 0; half < s.m / 8; half++)
        for (int i = 0; i < 2; i++)
            for (int lane = 0; lane < 32; lane++) {
                int row = lane / 4 + 8 * half, column = lane % 4 * 2 + i, sum = c[row * 8 + column];
                for (int k = 0; k < s.k; k++) {
                    int x = a[row * s.k + k], y = b[k * 8 + column];
                    sum += s.logic == 1 ? (x & y) : s.logic == 2 ? (x ^ y) : x * y;
                }
                unsigned got = s.sum_bits == 32 ? out[(half * 2 + i) * 32 + lane]
                                                : out[half * 32 + lane] >> i * 16 & 0xffff;
                ok = ok && got == s.sum(sum);
            }
    return ok;
}

static unsigned to_s32(int x)
{
    return (unsigned)x;
}

static void check(const char *what, void (*kernel)(const unsigned *, unsigned *), const shape &s)
{
    int *a = numbers, *b = a + s.m * s.k, *c = b + s.k * 8;
    for (int i = 0; i < s.m * s.k; i++)
        a[i] = number(i + 17, s.a_low, s.a_high);
    for (int i = 0; i < s.k * 8; i++)
        b[i] = number(i + 4711, s.b_low, s.b_high);
    for (int i = 0; i < s.m * 8; i++)
        c[i] = number(i + 99, 0, 50);
    unsigned *out = words + MOST / 8;
    lay_out(s, a, b, c);
    kernel<<<1, 32>>>(words, out);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect(what, matches(s, out, a, b, c));
}

static void all_mma()
{
    check("f16, k 16", f16_16, {16, 16, 16, -9, 9, -9, 9, to_f16, to_f16, to_f32, 32, 0});
    check("f16, k 8", f16_8, {16, 8, 16, -9, 9, -9, 9, to_f16, to_f16, to_f32, 32, 0});
    check("f16, sums too", f16_sum, {16, 16, 16, -5, 5, -5, 5, to_f16, to_f16, to_f16, 16, 0});
    check("bf16, k 16", bf16_16, {16, 16, 16, -9, 9, -9, 9, to_bf16, to_bf16, to_f32, 32, 0});
    check("bf16, k 8", bf16_8, {16, 8, 16, -9, 9, -9, 9, to_bf16, to_bf16, to_f32, 32, 0});
    check("tf32, k 8", tf32_8, {16, 8, 32, -99, 99, -99, 99, to_f32, to_f32, to_f32, 32, 0});
    check("tf32, k 4", tf32_4, {16, 4, 32, -99, 99, -99, 99, to_f32, to_f32, to_f32, 32, 0});
    check("s8, k 32", s8_32, {16, 32, 8, -128, 127, -128, 127, to_s8, to_s8, to_s32, 32, 0});
    check("s8 by u8", s8_16, {16, 16, 8, -128, 127, 0, 255, to_s8, to_s8, to_s32, 32, 0});
    check("u8 by s8, m 8", s8_small, {8, 16, 8, 0, 255, -128, 127, to_s8, to_s8, to_s32, 32, 0});
    check("s4, k 64", s4_64, {16, 64, 4, -8, 7, -8, 7, to_s4, to_s4, to_s32, 32, 0});
    check("u4 by s4", s4_32, {16, 32, 4, 0, 15, -8, 7, to_s4, to_s4, to_s32, 32, 0});
    check("s4 by u4, m 8", s4_small, {8, 32, 4, -8, 7, 0, 15, to_s4, to_s4, to_s32, 32, 0});
    check("bits, and", b1_256, {16, 256, 1, 0, 1, 0, 1, to_b1, to_b1, to_s32, 32, 1});
    check("bits, xor", b1_128, {16, 128, 1, 0, 1, 0, 1, to_b1, to_b1, to_s32, 32, 2});
    check("e4m3 by e5m2", e4m3_32, {16, 32, 8, -8, 8, -4, 4, to_e4m3, to_e5m2, to_f32, 32, 0});
}

static void doubles()
{
    double *in = (double *)words, *out = in + 256, a[8][4], b[4][8], c[8][8];
    bool ok = true;
    for (int i = 0; i < 32; i++) {
        a[i / 4][i % 4] = in[i] = number(i, -99, 99) / 4.0;
        b[i % 4][i / 4] = in[32 + i] = number(i + 50, -99, 99) / 8.0;
        c[i / 4][i % 4 * 2] = in[64 + i] = number(i + 100, -9, 9);
        c[i / 4][i % 4 * 2 + 1] = in[96 + i] = number(i + 150, -9, 9);
    }
    f64_4<<<1, 32>>>(in, out);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 64; i++) {
        int row = i % 32 / 4, column = i % 4 * 2 + i / 32;
        double sum = c[row][column];
        for (int k = 0; k < 4; k++)
            sum += a[row][k] * b[k][column];
        ok = ok && out[i] == sum;
    }
    expect("f64", ok);
}

/* ---- wmma: rows and columns, the three shapes, elements of fragments ---- */

template <int M, int N, int K, typename T, typename S>
__global__ void product(const T *a, const T *b, S *c, S *d)
{
    wmma::fragment<wmma::matrix_a, M, N, K, T, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, T, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, M, N, K, S> fc;
    wmma::load_matrix_sync(fa, a, K);
    wmma::load_matrix_sync(fb, b, K);
    wmma::load_matrix_sync(fc, c, N, wmma::mem_row_major);
    wmma::mma_sync(fc, fa, fb, fc);
    for (int i = 0; i < fc.num_elements; i++)
        fc.x[i] = fc.x[i] + fc.x[i];
    wmma::store_matrix_sync(d, fc, M, wmma::mem_col_major);
}

template <int M, int N, int K, typename T, typename S>
static void check_wmma(const char *what, int low, int high)
{
    static int a[M][K], b[K][N], c[M][N];
    T *in_a = (T *)words, *in_b = in_a + M * K;
    S *in_c = (S *)(words + 2048), *out = in_c + M * N;
    bool ok = true;
    for (int i = 0; i < M * K; i++)
        in_a[i] = (T)(float)(a[i / K][i % K] = number(i, low, high));
    for (int i = 0; i < K * N; i++)
        in_b[i] = (T)(float)(b[i % K][i / K] = number(i + 700, low, high));
    for (int i = 0; i < M * N; i++)
        in_c[i] = (S)(float)(c[i / N][i % N] = number(i + 900, 0, 9));
    product<M, N, K, T, S><<<1, 32>>>(in_a, in_b, in_c, out);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < M * N; i++) {
        int sum = c[i % M][i / M];
        for (int k = 0; k < K; k++)
            sum += a[i % M][k] * b[k][i / M];
        ok = ok && (float)out[i] == (float)(2 * sum);
    }
    expect(what, ok);
}

/* ---- tiles ---- */

__global__ void tiles(unsigned *out)
{
    __shared__ __align__(16) unsigned short from[32 * 8], to[32 * 8];
    unsigned t = threadIdx.x, r[4], transposed[2], moved;
    for (int i = 0; i < 8; i++)
        from[t * 8 + i] = (unsigned short)(t * 8 + i);
    __syncwarp();
    unsigned address = (unsigned)__cvta_generic_to_shared(&from[t * 8]),
             target = (unsigned)__cvta_generic_to_shared(&to[t * 8]);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(transposed[0]), "=r"(transposed[1])
                 : "r"(address)
                 : "memory");
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(moved) : "r"(r[1]));
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(target),
                 "r"(r[3]), "r"(r[2]), "r"(r[1]), "r"(r[0])
                 : "memory");
    __syncwarp();
    bool ok = true;
    for (unsigned i = 0; i < 4; i++) {
        unsigned first = i * 64 + t / 4 * 8 + t % 4 * 2;
        ok = ok && r[i] == (first | (first + 1) << 16);
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned first = i * 64 + t % 4 * 2 * 8 + t / 4;
        ok = ok && transposed[i] == (first | (first + 8) << 16);
    }
    ok = ok && moved == transposed[1];
    for (unsigned i = 0; i < 8; i++)
        ok = ok && to[t * 8 + i] == (3 - t / 8) * 64 + t % 8 * 8 + i;
    out[t] = ok;
}

int main()
{
    bool ok = true;
    CHECK(cudaMallocManaged(&words, MOST));
    numbers = (int *)malloc(MOST);
    all_mma();
    doubles();
    check_wmma<16, 16, 16, __half, float>("wmma, f16", -9, 9);
    check_wmma<32, 8, 16, __half, __half>("wmma, f16, 32 by 8, sums too", -3, 3);
    check_wmma<8, 32, 16, __nv_bfloat16, float>("wmma, bf16, 8 by 32", -9, 9);
    check_wmma<16, 16, 16, signed char, int>("wmma, s8", -128, 127);
    check_wmma<32, 8, 16, unsigned char, int>("wmma, u8, 32 by 8", 0, 255);
    check_wmma<8, 8, 4, double, double>("wmma, f64", -99, 99);
    tiles<<<1, 32>>>(words);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 32; i++)
        ok = ok && words[i] == 1;
    expect("tiles", ok);
    free(numbers);
    CHECK(cudaFree(words));
    return verdict();
}
