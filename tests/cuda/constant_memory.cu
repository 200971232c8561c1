/* SPDX-License-Identifier: Apache-2.0 */
/*
 * constant_memory: constants set from the host, in part and between launches, read back, and read
 * by kernels at one address for all threads and at many; initialised ones keep their values.
 */
#include "check.h"

enum { DEGREE = 8, COUNT = 512 };

struct settings {
    int offset;
    short factor;
    double scale;
};

__constant__ int coefficients[DEGREE];
__constant__ settings setting;
__constant__ int table[16] = {5, 3, 8, 1, 9, 2, 7, 6, 0, 4, 15, 11, 13, 10, 14, 12};

__global__ void evaluate(int *results)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, value = 0;

    for (int i = 0; i < DEGREE; i++)
        value = value * x + coefficients[i];
    results[x] = value;
}

__global__ void apply(int *results)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;

    results[x] = (int)(table[x % 16] * setting.factor * setting.scale) + setting.offset;
}

static int evaluate_on_host(const int *c, int x)
{
    unsigned value = 0;

    for (int i = 0; i < DEGREE; i++)
        value = value * (unsigned)x + (unsigned)c[i];
    return (int)value;
}

static int results[COUNT];

static void check_polynomial(const char *what, int *device, const int *c)
{
    bool ok = true;

    evaluate<<<COUNT / 64, 64>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(results, device, sizeof(results), cudaMemcpyDeviceToHost));
    for (int x = 0; x < COUNT; x++)
        ok = ok && results[x] == evaluate_on_host(c, x);
    expect(what, ok);
    print_checksum("values", results, sizeof(results));
}

int main()
{
    const int order[16] = {5, 3, 8, 1, 9, 2, 7, 6, 0, 4, 15, 11, 13, 10, 14, 12};
    int c[DEGREE] = {1, -2, 3, -4, 5, -6, 7, -8}, tail[2] = {70, 80}, back[DEGREE];
    const settings wanted = {1000, 3, 0.5};
    bool ok = true;
    void *address;
    size_t size;
    int *device;

    CHECK(cudaMalloc(&device, sizeof(results)));
    CHECK(cudaMemcpyToSymbol(coefficients, c, sizeof(c)));
    check_polynomial("first coefficients", device, c);
    CHECK(cudaMemcpyToSymbol(coefficients, tail, sizeof(tail), 6 * sizeof(int)));
    c[6] = tail[0];
    c[7] = tail[1];
    check_polynomial("the last two changed", device, c);
    CHECK(cudaMemcpyFromSymbol(back, coefficients, sizeof(back)));
    expect("read back", memcmp(back, c, sizeof(c)) == 0);

    CHECK(cudaMemcpyToSymbolAsync(setting, &wanted, sizeof(wanted), 0, cudaMemcpyHostToDevice, 0));
    apply<<<COUNT / 64, 64>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(results, device, sizeof(results), cudaMemcpyDeviceToHost));
    for (int x = 0; x < COUNT; x++)
        ok = ok && results[x] == (int)(order[x % 16] * 3 * 0.5) + 1000;
    expect("a structure and a table", ok);

    CHECK(cudaGetSymbolSize(&size, table));
    CHECK(cudaGetSymbolAddress(&address, table));
    expect("size of a symbol", size == sizeof(order));
    CHECK(cudaMemcpy(results, address, sizeof(order), cudaMemcpyDeviceToHost));
    expect("address of a symbol", memcmp(results, order, sizeof(order)) == 0);
    CHECK(cudaFree(device));
    return verdict();
}
