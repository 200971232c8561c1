/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transpose: a matrix transposed through a padded tile in shared memory, each block taking four
 * rows a thread; in 4-byte and in 8-byte elements.
 */
#include "check.h"

enum { TILE = 32, STEP = 8, ROWS = 150, COLUMNS = 210 };

template <typename T> __global__ void transpose(const T *in, T *out, int rows, int columns)
{
    __shared__ T tile[TILE][TILE + 1];
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;

    for (int i = 0; i < TILE; i += STEP)
        if (x < columns && y + i < rows)
            tile[threadIdx.y + i][threadIdx.x] = in[(y + i) * columns + x];
    __syncthreads();
    x = blockIdx.y * TILE + threadIdx.x;
    y = blockIdx.x * TILE + threadIdx.y;
    for (int i = 0; i < TILE; i += STEP)
        if (x < rows && y + i < columns)
            out[(y + i) * rows + x] = tile[threadIdx.x][threadIdx.y + i];
}

template <typename T> static void run(const char *name)
{
    static T in[ROWS * COLUMNS], out[ROWS * COLUMNS];
    dim3 grid((COLUMNS + TILE - 1) / TILE, (ROWS + TILE - 1) / TILE), block(TILE, STEP);
    T *device_in, *device_out;
    bool ok = true;

    for (int i = 0; i < ROWS * COLUMNS; i++)
        in[i] = (T)i * 3 + 1;
    CHECK(cudaMalloc(&device_in, sizeof(in)));
    CHECK(cudaMalloc(&device_out, sizeof(out)));
    CHECK(cudaMemcpy(device_in, in, sizeof(in), cudaMemcpyHostToDevice));
    transpose<T><<<grid, block>>>(device_in, device_out, ROWS, COLUMNS);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(out, device_out, sizeof(out), cudaMemcpyDeviceToHost));
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            ok = ok && out[column * ROWS + row] == in[row * COLUMNS + column];
    expect(name, ok);
    print_checksum("all", out, sizeof(out));
    CHECK(cudaFree(device_in));
    CHECK(cudaFree(device_out));
}

int main()
{
    run<float>("float");
    run<double>("double");
    return verdict();
}
