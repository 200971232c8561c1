/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_pointers: device functions called through a table, through pointers that the host
 * fetched and passed, and through virtual methods; threads of one warp call different ones.
 */
#include "check.h"

enum { COUNT = 128 };

typedef int (*operation)(int, int);

__device__ int plus(int a, int b)
{
    return a + b;
}

__device__ int minus(int a, int b)
{
    return a - b;
}

__device__ int times(int a, int b)
{
    return a * b;
}

__device__ int larger(int a, int b)
{
    return a > b ? a : b;
}

__device__ operation table[4] = {plus, minus, times, larger};

__global__ void by_table(int *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    out[i] = table[i % 4](i, 10);
}

__global__ void by_argument(operation first, operation second, int *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    out[i] = second(first(i, 3), i);
}

struct shape {
    __device__ virtual int area() const = 0;
    __device__ virtual ~shape()
    {
    }
};

struct square : shape {
    int side;
    __device__ explicit square(int s) : side(s)
    {
    }
    __device__ int area() const override
    {
        return side * side;
    }
};

struct rectangle : square {
    int other;
    __device__ rectangle(int s, int o) : square(s), other(o)
    {
    }
    __device__ int area() const override
    {
        return side * other;
    }
};

__global__ void by_method(int *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    square s(i);
    rectangle r(i, 5);
    const shape *chosen = i % 3 ? static_cast<const shape *>(&s) : &r;

    out[i] = chosen->area();
}

static int on_host(int operation, int a, int b)
{
    return operation == 0 ? a + b : operation == 1 ? a - b : operation == 2 ? a * b : a > b ? a : b;
}

int main()
{
    int *device, host[COUNT];
    operation fetched[4];
    bool ok;

    CHECK(cudaMalloc(&device, sizeof(host)));
    by_table<<<COUNT / 32, 32>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    ok = true;
    for (int i = 0; i < COUNT; i++)
        ok = ok && host[i] == on_host(i % 4, i, 10);
    expect("by a table", ok);

    CHECK(cudaMemcpyFromSymbol(fetched, table, sizeof(fetched)));
    for (int first = 0; first < 4; first++) {
        int second = (first + 1) % 4;

        by_argument<<<COUNT / 32, 32>>>(fetched[first], fetched[second], device);
        CHECK_LAUNCH();
        CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
        ok = true;
        for (int i = 0; i < COUNT; i++)
            ok = ok && host[i] == on_host(second, on_host(first, i, 3), i);
        expect("by an argument", ok);
    }

    by_method<<<COUNT / 32, 32>>>(device);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
    ok = true;
    for (int i = 0; i < COUNT; i++)
        ok = ok && host[i] == (i % 3 ? i * i : i * 5);
    expect("by a virtual method", ok);
    print_checksum("areas", host, sizeof(host));
    CHECK(cudaFree(device));
    return verdict();
}
