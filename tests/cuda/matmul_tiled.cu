/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_tiled: a matrix product through tiles in shared memory, of shapes that the tile does not
 * divide. The values are small whole numbers, so that every sum is exact whatever its order.
 */
#include "check.h"

enum { TILE = 16, ROWS = 100, INNER = 75, COLUMNS = 90 };

__global__ void multiply(const float *a, const float *b, float *c, int rows, int inner, int columns)
{
    __shared__ float tile_a[TILE][TILE], tile_b[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;

    for (int first = 0; first < inner; first += TILE) {
        int x = first + threadIdx.x, y = first + threadIdx.y;

        tile_a[threadIdx.y][threadIdx.x] = row < rows && x < inner ? a[row * inner + x] : 0;
        tile_b[threadIdx.y][threadIdx.x] =
            column < columns && y < inner ? b[y * columns + column] : 0;
        __syncthreads();
        for (int i = 0; i < TILE; i++)
            sum += tile_a[threadIdx.y][i] * tile_b[i][threadIdx.x];
        __syncthreads();
    }
    if (row < rows && column < columns)
        c[row * columns + column] = sum;
}

static float a[ROWS * INNER], b[INNER * COLUMNS], c[ROWS * COLUMNS], reference[ROWS * COLUMNS];

static void multiply_on_host()
{
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            for (int i = 0; i < INNER; i++)
                reference[row * COLUMNS + column] += a[row * INNER + i] * b[i * COLUMNS + column];
}

int main()
{
    float *device_a, *device_b, *device_c;
    uint32_t seed = 7;

    for (float &value : a)
        value = (float)(random32(&seed) % 19) - 9;
    for (float &value : b)
        value = (float)(random32(&seed) % 19) - 9;
    CHECK(cudaMalloc(&device_a, sizeof(a)));
    CHECK(cudaMalloc(&device_b, sizeof(b)));
    CHECK(cudaMalloc(&device_c, sizeof(c)));
    CHECK(cudaMemcpy(device_a, a, sizeof(a), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(device_b, b, sizeof(b), cudaMemcpyHostToDevice));
    multiply<<<dim3((COLUMNS + TILE - 1) / TILE, (ROWS + TILE - 1) / TILE), dim3(TILE, TILE)>>>(
        device_a, device_b, device_c, ROWS, INNER, COLUMNS);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy(c, device_c, sizeof(c), cudaMemcpyDeviceToHost));

    multiply_on_host();
    expect("product", memcmp(c, reference, sizeof(c)) == 0);
    printf("first %g, last %g\n", c[0], c[ROWS * COLUMNS - 1]);
    print_checksum("all", c, sizeof(c));
    CHECK(cudaFree(device_a));
    CHECK(cudaFree(device_b));
    CHECK(cudaFree(device_c));
    return verdict();
}
