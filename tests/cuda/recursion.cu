/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recursion: functions that call themselves to a depth that differs between the threads of a warp,
 * and arrays of a thread's own that live in local memory.
 */
#include "check.h"

enum { COUNT = 96, LENGTH = 40 };

__device__ __noinline__ unsigned ackermann(unsigned m, unsigned n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

__device__ __noinline__ void sort(int *values, int low, int high)
{
    int i = low, j = high, middle = values[(low + high) / 2];

    while (i <= j) {
        while (values[i] < middle)
            i++;
        while (values[j] > middle)
            j--;
        if (i <= j) {
            int t = values[i];

            values[i++] = values[j];
            values[j--] = t;
        }
    }
    if (low < j)
        sort(values, low, j);
    if (i < high)
        sort(values, i, high);
}

__device__ __noinline__ int is_odd(int n);
__device__ __noinline__ int is_even(int n)
{
    return n == 0 ? 1 : is_odd(n - 1);
}
__device__ __noinline__ int is_odd(int n)
{
    return n == 0 ? 0 : is_even(n - 1);
}

__global__ void recurse(unsigned *out)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    out[i] = ackermann(2, i % 7) * 10 + (unsigned)is_even((int)(i % 13));
}

/* Each thread sorts an array of its own and returns its median and a sum that depends on the order.
 */
__global__ void sort_own(int *medians, unsigned *sums)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, mine[LENGTH];
    unsigned state = (unsigned)i * 747796405u + 1, sum = 0;

    for (int &value : mine) {
        state = state * 1664525u + 1013904223u;
        value = (int)(state >> 16) - 30000;
    }
    sort(mine, 0, LENGTH - 1);
    for (int k = 0; k < LENGTH; k++)
        sum = sum * 31 + (unsigned)mine[k];
    medians[i] = mine[LENGTH / 2];
    sums[i] = sum;
}

static int compare(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static bool sorted_as_on_host(int i, int median, unsigned sum)
{
    unsigned state = (unsigned)i * 747796405u + 1, wanted = 0;
    int mine[LENGTH];

    for (int &value : mine) {
        state = state * 1664525u + 1013904223u;
        value = (int)(state >> 16) - 30000;
    }
    qsort(mine, LENGTH, sizeof(mine[0]), compare);
    for (int k = 0; k < LENGTH; k++)
        wanted = wanted * 31 + (unsigned)mine[k];
    return median == mine[LENGTH / 2] && sum == wanted;
}

int main()
{
    unsigned *device, results[COUNT], sums[COUNT], *device_sums;
    int *device_medians, medians[COUNT];
    bool ok = true;
    size_t stack;

    CHECK(cudaDeviceSetLimit(cudaLimitStackSize, 16 * 1024));
    CHECK(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
    expect("stack as large as asked", stack >= 16 * 1024);
    CHECK(cudaMalloc(&device, sizeof(results)));
    CHECK(cudaMalloc(&device_sums, sizeof(sums)));
    CHECK(cudaMalloc(&device_medians, sizeof(medians)));
    recurse<<<COUNT / 32, 32>>>(device);
    sort_own<<<COUNT / 32, 32>>>(device_medians, device_sums);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(results, device, sizeof(results), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(sums, device_sums, sizeof(sums), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(medians, device_medians, sizeof(medians), cudaMemcpyDeviceToHost));

    for (int i = 0; i < COUNT; i++)
        ok = ok && results[i] == (2u * (i % 7) + 3) * 10 + (i % 13 % 2 == 0);
    expect("recursion", ok);
    ok = true;
    for (int i = 0; i < COUNT; i++)
        ok = ok && sorted_as_on_host(i, medians[i], sums[i]);
    expect("arrays of one's own", ok);
    print_checksum("results", results, sizeof(results));
    print_checksum("sums", sums, sizeof(sums));
    CHECK(cudaFree(device));
    CHECK(cudaFree(device_sums));
    CHECK(cudaFree(device_medians));
    return verdict();
}
