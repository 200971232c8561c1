/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals: variables of the device: initialised ones, ones that point to others, structures, copies
 * by symbol with offsets, changes that last from launch to launch.
 */
#include "check.h"

struct point {
    double x;
    int y;
    char name[5];
};

__device__ int counter = 40;
__device__ int zeroed[100];
__device__ short table[6] = {1, -2, 3, -4, 5, -6};
__device__ int *pointer = &zeroed[7];
__device__ const char *text = "device text";
__device__ point points[3] = {{1.5, 2, "one"}, {-2.5, 3, "two"}, {1e100, -4, "last"}};
static __device__ double hidden = 2.25;

__global__ void count_up()
{
    atomicAdd(&counter, 1);
    if (threadIdx.x == 0)
        atomicAdd(pointer, 5);
}

__global__ void collect(double *out)
{
    out[0] = counter;
    out[1] = zeroed[7];
    out[2] = table[1] + table[5] * 10;
    out[3] = text[0] + text[10];
    out[4] = points[0].x + points[1].y + points[2].name[3];
    out[5] = points[2].x;
    out[6] = hidden;
    hidden *= 2;
    points[1].y++;
}

static bool same(double *device, double *host, const double (&wanted)[7])
{
    CHECK(cudaMemcpy(host, device, sizeof(wanted), cudaMemcpyDeviceToHost));
    return memcmp(host, wanted, sizeof(wanted)) == 0;
}

int main()
{
    short replaced[2] = {70, 80}, read[6];
    double *device, host[7];
    int number = 1000;
    void *address;
    size_t size;

    CHECK(cudaMalloc(&device, sizeof(host)));
    collect<<<1, 1>>>(device);
    expect("as initialised",
           same(device, host, {40, 0, -62, 'd' + 't', 1.5 + 3 + 't', 1e100, 2.25}));
    count_up<<<2, 16>>>();
    count_up<<<1, 16>>>();
    CHECK(cudaMemcpyToSymbol(table, replaced, sizeof(replaced), 4 * sizeof(short)));
    collect<<<1, 1>>>(device);
    expect("changed",
           same(device, host, {40 + 48, 15, -2 + 800, 'd' + 't', 1.5 + 4 + 't', 1e100, 4.5}));
    CHECK(cudaMemcpyFromSymbol(read, table, sizeof(read)));
    printf("table:");
    for (short value : read)
        printf(" %d", value);
    printf("\n");
    CHECK(cudaMemcpyToSymbol(counter, &number, sizeof(number)));
    count_up<<<1, 1>>>();
    CHECK(cudaMemcpyFromSymbol(&number, counter, sizeof(number)));
    printf("counter: %d\n", number);
    CHECK(cudaGetSymbolAddress(&address, zeroed));
    CHECK(cudaGetSymbolSize(&size, points));
    CHECK(cudaMemset(address, 0, sizeof(int) * 100));
    printf("size of points: %zu\n", size);
    CHECK(cudaMemcpyFromSymbol(&number, zeroed, sizeof(number), 7 * sizeof(int)));
    printf("cleared: %d\n", number);
    CHECK(cudaFree(device));
    return verdict();
}
