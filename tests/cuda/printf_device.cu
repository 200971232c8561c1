/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf_device: what kernels print arrives on stdout, formatted as printf does, in order with what
 * the host prints. Only one thread prints at a time: the order between threads is nobody's promise.
 */
#include "check.h"

__device__ const char device_text[] = "text in device memory";

__global__ void print_formats()
{
    printf("no arguments\n");
    printf("%d %i %u %x %X %o\n", -5, 17, 4000000000u, 0xbeef, 0xbeef, 64);
    printf("[%5d] [%-5d] [%05d] [%+d] [% d]\n", 42, 42, 42, 42, 42);
    printf("%lld %llu %llx %ld\n", -1234567890123ll, 18446744073709551615ull, 0x123456789abcdefull,
           77l);
    printf("%f %.3f %10.2f| %-10.1f| %e %g %g\n", 3.25, 2.0 / 3.0, 1234.567, 9.96, 12345.678,
           0.0001, 1e20);
    printf("%s, %c%c%c, %s\n", "literal", 'a', 'b', 'c', device_text);
    printf("100%% [%8s] [%-8s] [%.2s]\n", "right", "left", "cut");
    printf("%hd %#x %#o %p\n", (short)-3, 255, 8, (void *)0x1234);
    printf("%*d|%-*d|%a\n", 6, 1, 6, 2, 1.0);
    printf("a float: %f, a short: %d, a bool: %d\n", 1.5f, (short)12, true);
    printf("%d %d %d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
}

__global__ void print_in_turn(int launch)
{
    for (unsigned turn = 0; turn < blockDim.x; turn++) {
        if (turn == threadIdx.x)
            printf("launch %d, thread %u\n", launch, threadIdx.x);
        __syncthreads();
    }
}

__global__ void print_many(int lines)
{
    for (int i = 0; i < lines; i++)
        printf("line %d of many\n", i);
}

__global__ void print_line(int i)
{
    printf("kernel %d\n", i);
}

__global__ void print_counts(int *counts)
{
    counts[0] = printf("three: %d %d %d\n", 1, 2, 3);
    counts[1] = printf("none\n");
}

int main()
{
    int *device_counts, counts[2];

    printf("the host prints first\n");
    fflush(stdout);
    print_formats<<<1, 1>>>();
    CHECK(cudaDeviceSynchronize());
    printf("the host prints between\n");
    fflush(stdout);
    for (int launch = 0; launch < 3; launch++)
        print_in_turn<<<1, 4>>>(launch);
    CHECK(cudaDeviceSynchronize());
    print_many<<<1, 1>>>(100);
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 500; i++)
        print_line<<<1, 1>>>(i);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMalloc(&device_counts, sizeof(counts)));
    print_counts<<<1, 1>>>(device_counts);
    CHECK(cudaMemcpy(counts, device_counts, sizeof(counts), cudaMemcpyDeviceToHost));
    CHECK(cudaDeviceSynchronize());
    expect("arguments counted", counts[0] == 3 && counts[1] == 0);
    printf("the host prints behind copies\n");
    fflush(stdout);
    /* One that waits is enough for what was printed to be there. */
    for (int i = 500; i < 503; i++) {
        print_line<<<1, 1>>>(i);
        for (int k = 0; k < 3; k++)
            CHECK(cudaMemcpy(counts, device_counts, sizeof(int), cudaMemcpyDeviceToHost));
        printf("the host knows of kernel %d\n", i);
        fflush(stdout);
    }
    printf("the host prints last\n");
    CHECK(cudaFree(device_counts));
    return verdict();
}
