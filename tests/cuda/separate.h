/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the program "separate" know of each other. */
#ifndef TESTS_CUDA_SEPARATE_H
#define TESTS_CUDA_SEPARATE_H

typedef int (*operation)(int, int);

extern __device__ int counter, table[4];
extern __constant__ int factors[4];
extern __device__ operation chosen;

__device__ int scale(int x);

/* In both files, and one in the program. */
template <typename T> __device__ T twice(T x)
{
    return x + x;
}

/* Runs the other file's kernel over 8 numbers. */
void there(int *out);

#endif
