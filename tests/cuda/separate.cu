/* SPDX-License-Identifier: Apache-2.0 */
/*
 * separate: device code compiled in two files (this one and separate_part.cu) and linked, by nvcc
 * or as the program starts: functions, variables and constants of the other file, functions of the
 * same name in both, templates that both have, calls through pointers into the other.
 */
#include "separate.h"

#include "check.h"

__device__ int counter = 5;
__constant__ int factors[4] = {2, 3, 5, 7};

static __device__ int own(int x)
{
    return x + 1000;
}

__global__ void here(int *out)
{
    int i = threadIdx.x;
    out[i] = scale(table[i & 3]) + own(i) + twice(i);
}

__global__ void through(int *out, operation op)
{
    out[threadIdx.x] = op((int)threadIdx.x, 10);
}

int main()
{
    int *out, seven = 7, told[4], sums[8];
    operation op;
    bool ok = true;
    CHECK(cudaMallocManaged(&out, 8 * sizeof(int)));
    here<<<1, 8>>>(out);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 8; i++)
        ok = ok && out[i] == ((i & 3) + 1) * 100 * 7 + 5 + i + 1000 + 2 * i;
    expect("functions and variables of the other file", ok);

    there(out);
    for (int i = 0; i < 8; i++)
        sums[i] = out[i];
    printf("the other file's kernel: %d %d\n", sums[0], sums[7]);

    CHECK(cudaMemcpyToSymbol(counter, &seven, sizeof(seven)));
    CHECK(cudaMemcpyFromSymbol(told, table, sizeof(told)));
    expect("symbols", told[0] == 100 && told[3] == 400);
    there(out);
    expect("a variable that was written", out[0] == sums[0] + 2);

    CHECK(cudaMemcpyFromSymbol(&op, chosen, sizeof(op)));
    through<<<1, 8>>>(out, op);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("through a pointer", out[3] == 30 && out[7] == 70);
    CHECK(cudaFree(out));
    return verdict();
}
