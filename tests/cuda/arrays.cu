/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrays: the device's opaque arrays, as far as copies go: lines, rows and boxes in and out,
 * between arrays, and what they say of themselves.
 */
#include "check.h"

enum { WIDTH = 40, HEIGHT = 12, DEPTH = 3 };

static int host[DEPTH][HEIGHT][WIDTH], back[DEPTH][HEIGHT][WIDTH];

static void fill()
{
    for (int z = 0; z < DEPTH; z++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                host[z][y][x] = z * 7919 + y * 101 + x;
    memset(back, 0, sizeof(back));
}

static void two_dimensional()
{
    cudaChannelFormatDesc format = cudaCreateChannelDesc<int>(), told;
    cudaArray_t first, second;
    cudaExtent extent;
    unsigned flags;
    bool ok = true;
    int *device;

    fill();
    CHECK(cudaMallocArray(&first, &format, WIDTH, HEIGHT));
    CHECK(cudaMallocArray(&second, &format, WIDTH, HEIGHT));
    CHECK(cudaArrayGetInfo(&told, &extent, &flags, first));
    printf("array of %zu by %zu, %d bits\n", extent.width, extent.height, told.x);
    CHECK(cudaMemcpy2DToArray(first, 0, 0, host, WIDTH * sizeof(int), WIDTH * sizeof(int), HEIGHT,
                              cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy2DFromArray(back, WIDTH * sizeof(int), first, 0, 0, WIDTH * sizeof(int), HEIGHT,
                                cudaMemcpyDeviceToHost));
    expect("there and back", memcmp(back, host, sizeof(back[0])) == 0);

    /* 10 by 4 from (5, 3) to (20, 6) of the other, then out of it through linear memory. */
    CHECK(cudaMalloc(&device, sizeof(host[0])));
    CHECK(cudaMemcpy2DToArray(second, 0, 0, host[1], WIDTH * sizeof(int), WIDTH * sizeof(int),
                              HEIGHT, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy2DArrayToArray(second, 20 * sizeof(int), 6, first, 5 * sizeof(int), 3,
                                   10 * sizeof(int), 4, cudaMemcpyDeviceToDevice));
    CHECK(cudaMemcpy2DFromArray(device, WIDTH * sizeof(int), second, 0, 0, WIDTH * sizeof(int),
                                HEIGHT, cudaMemcpyDeviceToDevice));
    CHECK(cudaMemcpy(back, device, sizeof(back[0]), cudaMemcpyDeviceToHost));
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            bool inside = x >= 20 && x < 30 && y >= 6 && y < 10;

            ok = ok && back[0][y][x] == (inside ? host[0][y - 3][x - 15] : host[1][y][x]);
        }
    expect("between arrays", ok);
    print_checksum("rows", back[0], sizeof(back[0]));
    CHECK(cudaFree(device));
    CHECK(cudaFreeArray(first));
    CHECK(cudaFreeArray(second));
}

static void three_dimensional()
{
    cudaChannelFormatDesc format = cudaCreateChannelDesc<int>();
    cudaExtent extent = make_cudaExtent(WIDTH, HEIGHT, DEPTH); /* of arrays: in elements */
    cudaMemcpy3DParms in = {0}, out = {0};
    cudaArray_t array;
    bool ok = true;

    fill();
    CHECK(cudaMalloc3DArray(&array, &format, extent));
    in.srcPtr = make_cudaPitchedPtr(host, WIDTH * sizeof(int), WIDTH, HEIGHT);
    in.dstArray = array;
    in.extent = extent;
    in.kind = cudaMemcpyHostToDevice;
    CHECK(cudaMemcpy3D(&in));
    out.srcArray = array;
    out.srcPos = make_cudaPos(3, 2, 1);
    out.dstPtr = make_cudaPitchedPtr(back, WIDTH * sizeof(int), WIDTH, HEIGHT);
    out.extent = make_cudaExtent(11, 7, 2);
    out.kind = cudaMemcpyDeviceToHost;
    CHECK(cudaMemcpy3D(&out));
    for (int z = 0; z < DEPTH; z++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                bool inside = x < 11 && y < 7 && z < 2;

                ok = ok && back[z][y][x] == (inside ? host[z + 1][y + 2][x + 3] : 0);
            }
    expect("a box", ok);
    CHECK(cudaFreeArray(array));
}

int main()
{
    two_dimensional();
    three_dimensional();
    return verdict();
}
