/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big_params: launch parameters of every size up to the most there may be, 32,764 bytes; the bytes
 * are copied when the launch is made, so that changing them behind it changes nothing.
 */
#include "check.h"

template <int WORDS> struct block {
    unsigned words[WORDS];
};

template <int WORDS> __global__ void sum(const __grid_constant__ block<WORDS> b, unsigned *out)
{
    unsigned mine = 0;

    for (int i = threadIdx.x; i < WORDS; i += blockDim.x)
        mine += b.words[i] * (i + 1);
    atomicAdd(out, mine);
}

template <int WORDS> static void run(unsigned *out)
{
    static block<WORDS> b;
    unsigned wanted = 0, got = 0;
    uint32_t seed = WORDS;

    CHECK(cudaMemset(out, 0, sizeof(*out)));
    for (int launch = 0; launch < 5; launch++) {
        for (int i = 0; i < WORDS; i++) {
            b.words[i] = random32(&seed);
            wanted += b.words[i] * (unsigned)(i + 1);
        }
        sum<WORDS><<<1, 64>>>(b, out);
    }
    memset(&b, 0, sizeof(b));
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(&got, out, sizeof(got), cudaMemcpyDeviceToHost));
    printf("%d bytes: %08x ", WORDS * 4 + 8, got);
    expect("sum", got == wanted);
}

/* Odd sizes and alignments, one after the other. */
struct odd {
    char a;
    double b;
    char c[3];
};

__global__ void mixed(char a, short b, odd c, long long d, float2 e, bool f, float4 g, double *out)
{
    out[0] = a;
    out[1] = b;
    out[2] = c.a + c.b + c.c[0] + c.c[1] + c.c[2];
    out[3] = (double)d;
    out[4] = e.x - e.y;
    out[5] = f;
    out[6] = g.x + g.y * 10 + g.z * 100 + g.w * 1000;
}

int main()
{
    double *device, host[7];
    unsigned *out;

    CHECK(cudaMalloc(&out, sizeof(*out)));
    run<1>(out);
    run<255>(out);
    run<1021>(out);
    run<1022>(out); /* 4,096 bytes with the pointer */
    run<1024>(out);
    run<5000>(out);
    run<8188>(out); /* 32,760 bytes: the pointer's alignment leaves no room for one more word */
    CHECK(cudaMalloc(&device, sizeof(host)));
    mixed<<<1, 1>>>(-7, 1234, odd{1, 0.5, {2, 3, 4}}, -5000000000ll, make_float2(3, 0.25f), true,
                    make_float4(1, 2, 3, 4), device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    for (double value : host)
        printf("%.2f ", value);
    printf("\n");
    CHECK(cudaFree(out));
    CHECK(cudaFree(device));
    return verdict();
}
