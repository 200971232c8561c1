/* SPDX-License-Identifier: Apache-2.0 */
/*
 * double_math: arithmetic in double precision, to the last bit where IEEE 754 says so, and the
 * library's functions near the host's results.
 */
#include "check.h"

enum { COUNT = 512, EXACT = 10, NEAR = 24 };

__global__ void exact(const double *a, const double *b, double (*out)[EXACT])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    double x = a[i], y = b[i];

    out[i][0] = __dadd_rn(x, y);
    out[i][1] = __dmul_rn(x, y);
    out[i][2] = __ddiv_rn(x, y);
    out[i][3] = __dsqrt_rn(fabs(x));
    out[i][4] = __fma_rn(x, y, x);
    out[i][5] = __dadd_rd(x, y * 0x1p20);
    out[i][6] = __dmul_ru(x, y);
    out[i][7] = floor(x) + ceil(y) + trunc(x) + rint(y);
    out[i][8] = fmin(x, y) + copysign(2.0, x) + fmax(x, 0.5);
    out[i][9] = (double)(float)x + (double)(long long)y + (double)__double2int_rn(x);
}

__global__ void near(const double *a, double (*out)[NEAR])
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, e;
    double x = a[i], p = fabs(x) + 0.125, s, c;

    out[i][0] = sin(x);
    out[i][1] = cos(x);
    out[i][2] = tan(x);
    out[i][3] = exp(x);
    out[i][4] = log(p);
    out[i][5] = pow(p, 1.75);
    out[i][6] = sqrt(p);
    out[i][7] = rsqrt(p);
    out[i][8] = cbrt(x);
    out[i][9] = atan2(x, p);
    out[i][10] = asin(x / 32);
    out[i][11] = acos(x / 32);
    out[i][12] = sinh(x);
    out[i][13] = tanh(x);
    out[i][14] = erf(x / 8);
    out[i][15] = fmod(x, 0.7);
    out[i][16] = remainder(x, 0.7);
    out[i][17] = hypot(x, 3.0);
    out[i][18] = exp2(x);
    out[i][19] = log10(p);
    out[i][20] = log1p(p) + expm1(x / 16);
    out[i][21] = frexp(p, &e) + e;
    sincos(x * 1000, &s, &c);
    out[i][22] = s + 2 * c;
    out[i][23] = ldexp(x, 5) + lgamma(p + 1);
}

static double reference(int function, double x)
{
    double p = fabs(x) + 0.125;
    int e;

    switch (function) {
    case 0:
        return sin(x);
    case 1:
        return cos(x);
    case 2:
        return tan(x);
    case 3:
        return exp(x);
    case 4:
        return log(p);
    case 5:
        return pow(p, 1.75);
    case 6:
        return sqrt(p);
    case 7:
        return 1 / sqrt(p);
    case 8:
        return cbrt(x);
    case 9:
        return atan2(x, p);
    case 10:
        return asin(x / 32);
    case 11:
        return acos(x / 32);
    case 12:
        return sinh(x);
    case 13:
        return tanh(x);
    case 14:
        return erf(x / 8);
    case 15:
        return fmod(x, 0.7);
    case 16:
        return remainder(x, 0.7);
    case 17:
        return hypot(x, 3.0);
    case 18:
        return exp2(x);
    case 19:
        return log10(p);
    case 20:
        return log1p(p) + expm1(x / 16);
    case 21:
        p = frexp(p, &e);
        return p + e;
    case 22:
        return sin(x * 1000) + 2 * cos(x * 1000);
    default:
        return ldexp(x, 5) + lgamma(p + 1);
    }
}

static const char *const names[NEAR] = {"sin",   "cos",       "tan",
                                        "exp",   "log",       "pow",
                                        "sqrt",  "rsqrt",     "cbrt",
                                        "atan2", "asin",      "acos",
                                        "sinh",  "tanh",      "erf",
                                        "fmod",  "remainder", "hypot",
                                        "exp2",  "log10",     "log1p and expm1",
                                        "frexp", "sincos",    "ldexp and lgamma"};

static double a[COUNT], b[COUNT], exacts[COUNT][EXACT], nears[COUNT][NEAR];

/* Round towards one side what long double holds exactly. */
static double down(long double exact)
{
    double d = (double)exact;

    return d > exact ? nextafter(d, -INFINITY) : d;
}

static double up(long double exact)
{
    double d = (double)exact;

    return d < exact ? nextafter(d, INFINITY) : d;
}

static void check_exact()
{
    bool ok[EXACT];

    memset(ok, 1, sizeof(ok));
    for (int i = 0; i < COUNT; i++) {
        volatile double x = a[i], y = b[i];
        volatile double wanted[EXACT] = {x + y,
                                         x * y,
                                         x / y,
                                         sqrt(fabs(x)),
                                         fma(x, y, x),
                                         down((long double)x + y * 0x1p20L),
                                         up((long double)x * y),
                                         floor(x) + ceil(y) + trunc(x) + rint(y),
                                         fmin(x, y) + copysign(2.0, x) + fmax(x, 0.5),
                                         (double)(float)x + (double)(long long)y + rint(x)};

        for (int r = 0; r < EXACT; r++)
            ok[r] = ok[r] && exacts[i][r] == wanted[r];
    }
    for (int r = 0; r < EXACT; r++) {
        printf("exact %d ", r);
        expect("to the last bit", ok[r]);
    }
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
        expect(names[r], worst < 1e-13);
    }
}

int main()
{
    double *device_a, *device_b, (*device_exacts)[EXACT], (*device_nears)[NEAR];
    uint32_t seed = 17;

    /* 31 bits each: products and sums need more bits than double's 53 and no more than long
     * double's 64. */
    for (int i = 0; i < COUNT; i++) {
        a[i] = (int)random32(&seed) / 0x1p27;
        b[i] = (int)random32(&seed) / 0x1p16;
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
    print_checksum("exact results", exacts, sizeof(exacts));
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    CHECK(cudaFree(device_exacts));
    CHECK(cudaFree(device_nears));
    return verdict();
}
