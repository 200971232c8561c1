/* SPDX-License-Identifier: Apache-2.0 */
/* The second file of the program "separate"; see there. */
#include <stdio.h>

#include "separate.h"

__device__ int table[4] = {100, 200, 300, 400};

static __device__ int own(int x)
{
    return x + 2000; /* not the one of the other file */
}

static __device__ int product(int x, int y)
{
    return x * y;
}

__device__ operation chosen = product;

__device__ __noinline__ int scale(int x)
{
    return x * factors[3] + counter;
}

__global__ void part(int *out)
{
    out[threadIdx.x] = own(scale(twice((int)threadIdx.x)));
}

void there(int *out)
{
    part<<<1, 8>>>(out);
    if (cudaDeviceSynchronize() != cudaSuccess)
        printf("the other file's kernel failed\n");
}
