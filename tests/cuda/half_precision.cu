/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half_precision: fp16 and bf16, single and in pairs: conversions with rounding, arithmetic,
 * comparisons, special values. The operations round once, so that the host's float arithmetic,
 * rounded, is the reference.
 */
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "check.h"

enum { COUNT = 2048, RESULTS = 8 };

template <typename T> __device__ T round_to(float x);
template <> __device__ __half round_to(float x)
{
    return __float2half_rn(x);
}
template <> __device__ __nv_bfloat16 round_to(float x)
{
    return __float2bfloat16_rn(x);
}

template <typename T> __device__ float widen(T x);
template <> __device__ float widen(__half x)
{
    return __half2float(x);
}
template <> __device__ float widen(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

/* Below compute capability 8.0 there is no such instruction for bf16; float holds the product
 * exactly. */
__device__ __half multiply_add(__half x, __half y, __half z)
{
    return __hfma(x, y, z);
}
__device__ __nv_bfloat16 multiply_add(__nv_bfloat16 x, __nv_bfloat16 y, __nv_bfloat16 z)
{
    return __float2bfloat16_rn(fmaf(__bfloat162float(x), __bfloat162float(y), __bfloat162float(z)));
}

template <typename T>
__global__ void arithmetic(const float *a, const float *b, float (*results)[RESULTS])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    T x = round_to<T>(a[i]), y = round_to<T>(b[i]);

    results[i][0] = widen<T>(x);
    results[i][1] = widen<T>(y);
    results[i][2] = widen<T>(__hadd(x, y));
    results[i][3] = widen<T>(__hsub(x, y));
    results[i][4] = widen<T>(__hmul(x, y));
    results[i][5] = widen<T>(multiply_add(x, y, x));
    results[i][6] = widen<T>(__hneg(x));
    results[i][7] = (float)(__hlt(x, y) + 2 * __heq(x, y) + 4 * __hge(x, y));
}

/* The sum of products in pairs; the values are small whole numbers, exact in both types. */
__global__ void pairs(float *results)
{
    int i = threadIdx.x;
    __half2 h = __hfma2(__floats2half2_rn((float)i, (float)(i + 1)), __float2half2_rn(3.0f),
                        __float2half2_rn(1.0f));
    __nv_bfloat162 b = __hadd2(__floats2bfloat162_rn((float)i, 2.0f), __float2bfloat162_rn(4.0f));

    results[i * 4] = __low2float(h);
    results[i * 4 + 1] = __high2float(h);
    results[i * 4 + 2] = __low2float(b);
    results[i * 4 + 3] = __high2float(b);
}

__global__ void conversions(int *results)
{
    results[0] = __half_as_ushort(
        __float2half_rn(65519.0f)); /* the largest that is not rounded to infinity */
    results[1] = __half_as_ushort(__float2half_rn(65520.0f));
    results[2] = __half_as_ushort(__float2half_rn(5.9604645e-8f)); /* the least subnormal */
    results[3] = __half_as_ushort(__float2half_rn(2.9e-8f));
    results[4] = __half_as_ushort(__float2half_rz(1.9999f));
    results[5] = __half_as_ushort(__float2half_ru(1.0001f));
    results[6] = __half_as_ushort(__float2half_rd(-1.0001f));
    results[7] = __half2int_rn(__ushort_as_half(0x3e00)); /* 1.5 */
    results[8] = __half2int_rz(__ushort_as_half(0xbe00));
    results[9] = __half_as_ushort(__int2half_rn(2049));
    results[10] = __hisnan(__ushort_as_half(0x7e00)) + 2 * __hisinf(__ushort_as_half(0xfc00));
    results[11] = __bfloat16_as_ushort(__float2bfloat16_rn(3.14159f));
    results[12] = __bfloat16_as_ushort(__float2bfloat16_rn(1.00390625f)); /* halfway, to even */
    results[13] = __bfloat16_as_ushort(__float2bfloat16_rz(-2.999f));
    results[14] = __hisnan(__ushort_as_bfloat16(0x7fc0));
    results[15] =
        __half_as_ushort(__double2half(1.0 + 1.0 / 2048 + 1e-9)); /* rounded once, not twice */
}

template <typename T> static float to_host(float x);
template <> float to_host<__half>(float x)
{
    return __half2float(__float2half_rn(x));
}
template <> float to_host<__nv_bfloat16>(float x)
{
    return __bfloat162float(__float2bfloat16_rn(x));
}

template <typename T> static void check_arithmetic(const char *name)
{
    static float a[COUNT], b[COUNT], results[COUNT][RESULTS];
    float *device_a, *device_b, (*device_results)[RESULTS];
    static const char *const operations[RESULTS] = {"a",   "b",   "add", "sub",
                                                    "mul", "fma", "neg", "compare"};
    bool ok[RESULTS];
    uint32_t seed = 99;

    for (int i = 0; i < COUNT; i++) {
        a[i] = ((int)(random32(&seed) % 4001) - 2000) / 64.0f;
        b[i] = i % 5 == 0 ? a[i] : ((int)(random32(&seed) % 4001) - 2000) / 32.0f;
    }
    CHECK(cudaMalloc(&device_a, sizeof(a)));
    CHECK(cudaMalloc(&device_b, sizeof(b)));
    CHECK(cudaMalloc(&device_results, sizeof(results)));
    CHECK(cudaMemcpy(device_a, a, sizeof(a), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_b, b, sizeof(b), cudaMemcpyHostToDevice));
    arithmetic<T><<<COUNT / 128, 128>>>(device_a, device_b, device_results);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(results, device_results, sizeof(results), cudaMemcpyDeviceToHost));
    memset(ok, 1, sizeof(ok));
    for (int i = 0; i < COUNT; i++) {
        float x = to_host<T>(a[i]), y = to_host<T>(b[i]);
        float wanted[RESULTS] = {x,
                                 y,
                                 to_host<T>(x + y),
                                 to_host<T>(x - y),
                                 to_host<T>(x * y),
                                 to_host<T>((float)((double)x * y + x)),
                                 -x,
                                 (float)((x < y) + 2 * (x == y) + 4 * (x >= y))};

        for (int r = 0; r < RESULTS; r++)
            ok[r] = ok[r] && results[i][r] == wanted[r];
    }
    for (int r = 0; r < RESULTS; r++) {
        printf("%s ", name);
        expect(operations[r], ok[r]);
    }
    print_checksum("all", results, sizeof(results));
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    CHECK(cudaFree(device_results));
}

int main()
{
    float *device_pairs, pair[32 * 4];
    int *device_results, results[16];
    bool ok = true;

    check_arithmetic<__half>("fp16");
    check_arithmetic<__nv_bfloat16>("bf16");

    CHECK(cudaMalloc(&device_pairs, sizeof(pair)));
    pairs<<<1, 32>>>(device_pairs);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(pair, device_pairs, sizeof(pair), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 32; i++)
        ok = ok && pair[i * 4] == i * 3 + 1 && pair[i * 4 + 1] == i * 3 + 4 &&
             pair[i * 4 + 2] == i + 4 && pair[i * 4 + 3] == 6;
    expect("pairs", ok);

    CHECK(cudaMalloc(&device_results, sizeof(results)));
    conversions<<<1, 1>>>(device_results);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(results, device_results, sizeof(results), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++)
        printf("%04x%c", results[i] & 0xffff, i % 8 == 7 ? '\n' : ' ');
    CHECK(cudaFree(device_pairs));
    CHECK(cudaFree(device_results));
    return verdict();
}
