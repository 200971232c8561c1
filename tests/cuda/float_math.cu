/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_math: arithmetic in single precision with every rounding, denormals, special values, the
 * library's functions and the fast approximations, each near the host's results.
 */
#include <fenv.h>

#include "check.h"

enum { COUNT = 512, EXACT = 8, NEAR = 20 };

__global__ void exact(const float *a, const float *b, float (*out)[EXACT])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i], y = b[i];

    out[i][0] = __fadd_rn(x, y);
    out[i][1] = __fmul_rn(x, y);
    out[i][2] = __fdiv_rn(x, y);
    out[i][3] = __fsqrt_rn(fabsf(x));
    out[i][4] = __fadd_rz(x, y);
    out[i][5] = __fmul_rd(x, y);
    out[i][6] = __fdiv_ru(x, y);
    out[i][7] = __fmaf_rn(x, y, 0.5f);
}

__global__ void near(const float *a, float (*out)[NEAR])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i], p = fabsf(x) + 0.125f;

    out[i][0] = sinf(x);
    out[i][1] = cosf(x);
    out[i][2] = expf(x);
    out[i][3] = logf(p);
    out[i][4] = powf(p, 1.75f);
    out[i][5] = sqrtf(p);
    out[i][6] = rsqrtf(p);
    out[i][7] = tanhf(x);
    out[i][8] = atan2f(x, p);
    out[i][9] = erff(x / 4);
    out[i][10] = cbrtf(x);
    out[i][11] = fmodf(x, 0.75f);
    out[i][12] = sinf(x * 100000.0f); /* the long way of reducing the argument */
    out[i][13] = __sinf(x / 8);
    out[i][14] = __cosf(x / 8);
    out[i][15] = __expf(x / 4);
    out[i][16] = __logf(p + 1);
    out[i][17] = __powf(p, 1.5f);
    out[i][18] = __fdividef(x, p);
    out[i][19] = __frcp_rn(p) + exp2f(x / 4) + log2f(p + 1);
}

static double reference(int function, double x)
{
    double p = (float)(fabs(x) + 0.125);

    switch (function) {
    case 0:
        return sin(x);
    case 1:
        return cos(x);
    case 2:
        return exp(x);
    case 3:
        return log(p);
    case 4:
        return pow(p, 1.75);
    case 5:
        return sqrt(p);
    case 6:
        return 1 / sqrt(p);
    case 7:
        return tanh(x);
    case 8:
        return atan2(x, p);
    case 9:
        return erf(x / 4);
    case 10:
        return cbrt(x);
    case 11:
        return fmod(x, 0.75);
    case 12:
        return sin((float)x * 100000.0f);
    case 13:
        return sin(x / 8);
    case 14:
        return cos(x / 8);
    case 15:
        return exp(x / 4);
    case 16:
        return log(p + 1);
    case 17:
        return pow(p, 1.5);
    case 18:
        return x / p;
    default:
        return 1 / p + exp2(x / 4) + log2(p + 1);
    }
}

static const char *const names[NEAR] = {"sin",
                                        "cos",
                                        "exp",
                                        "log",
                                        "pow",
                                        "sqrt",
                                        "rsqrt",
                                        "tanh",
                                        "atan2",
                                        "erf",
                                        "cbrt",
                                        "fmod",
                                        "sin of large numbers",
                                        "fast sin",
                                        "fast cos",
                                        "fast exp",
                                        "fast log",
                                        "fast pow",
                                        "fast division",
                                        "reciprocal, exp2 and log2"};

/* Bits of: denormals kept by sums and products, flushed when asked to; infinities; NaN; signed
 * zeros. */
__global__ void special(const float *in, unsigned *out)
{
    float least = in[0], one = in[1], largest = in[2], zero = in[3], flushed;

    out[0] = __float_as_uint(least * one);
    out[1] = __float_as_uint(least + least);
    asm("add.ftz.f32 %0, %1, %1;" : "=f"(flushed) : "f"(least));
    out[2] = __float_as_uint(flushed);
    out[3] = __float_as_uint(largest + largest);
    out[4] = __float_as_uint(one / zero);
    out[5] = __float_as_uint(-one / zero);
    out[6] = isnan(zero / zero) + 2 * isnan((largest + largest) - (largest + largest)) +
             4 * isinf(largest * largest);
    out[7] = __float_as_uint(-zero * one);
    out[8] = __float_as_uint(fminf(zero / zero, one));
    out[9] = __float_as_uint(__saturatef(one + one));
    out[10] = __float2int_rn(2.5f * one) * 1000 + __float2int_rz(-2.5f * one) * 100 +
              __float2int_ru(2.1f * one);
    out[11] = __float2int_rn(largest);
    out[12] = __float2uint_rz(-one);
    out[13] = __float_as_uint(__uint2float_rn(0xffffff7f) + zero);
    out[14] = __float_as_uint(__int2float_rz(0x7fffffff));
    out[15] = __float_as_uint(one - __uint_as_float(0x33000000));
}

static float a[COUNT], b[COUNT], exacts[COUNT][EXACT], nears[COUNT][NEAR];

static float rounded(int mode, int operation, float x, float y)
{
    volatile float vx = x, vy = y, result;

    fesetround(mode);
    result = operation == 0 ? vx + vy : operation == 1 ? vx * vy : vx / vy;
    fesetround(FE_TONEAREST);
    return result;
}

static void check_exact()
{
    static const char *const what[EXACT] = {
        "sum",          "product",     "quotient", "root", "sum towards zero",
        "product down", "quotient up", "fma"};
    bool ok[EXACT];

    memset(ok, 1, sizeof(ok));
    for (int i = 0; i < COUNT; i++) {
        float x = a[i], y = b[i];
        float wanted[EXACT] = {rounded(FE_TONEAREST, 0, x, y),  rounded(FE_TONEAREST, 1, x, y),
                               rounded(FE_TONEAREST, 2, x, y),  sqrtf(fabsf(x)),
                               rounded(FE_TOWARDZERO, 0, x, y), rounded(FE_DOWNWARD, 1, x, y),
                               rounded(FE_UPWARD, 2, x, y),     fmaf(x, y, 0.5f)};

        for (int r = 0; r < EXACT; r++)
            ok[r] = ok[r] && exacts[i][r] == wanted[r];
    }
    for (int r = 0; r < EXACT; r++)
        expect(what[r], ok[r]);
}

static void check_near()
{
    for (int r = 0; r < NEAR; r++) {
        double worst = 0;

        for (int i = 0; i < COUNT; i++) {
            double wanted = reference(r, a[i]),
                   error = fabs(nears[i][r] - wanted) / fmax(fabs(wanted), 0.1);

            worst = error > worst || error != error ? error : worst;
        }
        expect(names[r], worst < 1e-5);
    }
}

static void check_special()
{
    const float in[4] = {1e-45f, 1.0f, 3.4028235e38f, 0.0f};
    unsigned *device_out, out[16];
    float *device_in;

    CHECK(cudaMalloc(&device_in, sizeof(in)));
    CHECK(cudaMalloc(&device_out, sizeof(out)));
    CHECK(cudaMemcpy(device_in, in, sizeof(in), cudaMemcpyHostToDevice));
    special<<<1, 1>>>(device_in, device_out);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(out, device_out, sizeof(out), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++)
        printf("%08x%c", out[i], i % 8 == 7 ? '\n' : ' ');
    CHECK(cudaFree(device_in));
    CHECK(cudaFree(device_out));
}

int main()
{
    float *device_a, *device_b, (*device_exacts)[EXACT], (*device_nears)[NEAR];
    uint32_t seed = 23;

    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)(int)random32(&seed) / 0x1p27f;
        b[i] = (float)(int)random32(&seed) / 0x1p24f;
    }
    CHECK(cudaMalloc(&device_a, sizeof(a)));
    CHECK(cudaMalloc(&device_b, sizeof(b)));
    CHECK(cudaMalloc(&device_exacts, sizeof(exacts)));
    CHECK(cudaMalloc(&device_nears, sizeof(nears)));
    CHECK(cudaMemcpy(device_a, a, sizeof(a), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_b, b, sizeof(b), cudaMemcpyHostToDevice));
    exact<<<COUNT / 64, 64>>>(device_a, device_b, device_exacts);
    near<<<COUNT / 64, 64>>>(device_a, device_nears);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(exacts, device_exacts, sizeof(exacts), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(nears, device_nears, sizeof(nears), cudaMemcpyDeviceToHost));
    check_exact();
    check_near();
    check_special();
    print_checksum("exact results", exacts, sizeof(exacts));
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    CHECK(cudaFree(device_exacts));
    CHECK(cudaFree(device_nears));
    return verdict();
}
