/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcpy_2d3d: copies of parts of pitched and of three-dimensional memory, in every direction, to
 * places that are offset on both sides; what lies around them stays.
 */
#include "check.h"

enum { WIDTH = 37, HEIGHT = 21, DEPTH = 5 };

__global__ void negate(int *values, size_t pitch, int width, int height)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

    if (x < width && y < height) {
        int *row = (int *)((char *)values + y * pitch);

        row[x] = -row[x];
    }
}

static int host[DEPTH][HEIGHT][WIDTH], back[DEPTH][HEIGHT][WIDTH];

static void fill()
{
    for (int z = 0; z < DEPTH; z++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                host[z][y][x] = z * 10000 + y * 100 + x + 1;
    memset(back, 0, sizeof(back));
}

static void pitched()
{
    const size_t width = WIDTH * sizeof(int);
    size_t pitch, other_pitch;
    int *device, *other;
    bool ok = true;

    fill();
    CHECK(cudaMallocPitch(&device, &pitch, width, HEIGHT));
    CHECK(cudaMallocPitch(&other, &other_pitch, 2 * width, HEIGHT));
    expect("the pitch holds a row", pitch >= width && other_pitch >= 2 * width);
    CHECK(cudaMemcpy2D(device, pitch, host, width, width, HEIGHT, cudaMemcpyHostToDevice));
    negate<<<dim3(3, 3), dim3(16, 8)>>>(device, pitch, WIDTH, HEIGHT);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy2D(other + 5, other_pitch, device, pitch, width, HEIGHT,
                       cudaMemcpyDeviceToDevice));
    CHECK(cudaMemcpy2D(back, width, other + 5, other_pitch, width, HEIGHT, cudaMemcpyDeviceToHost));
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            ok = ok && back[0][y][x] == -host[0][y][x];
    expect("there and back by rows", ok);
    print_checksum("rows", back[0], sizeof(back[0]));

    /* A window of 10 by 6 from (3, 2) of the device to (7, 9) of the host. */
    memset(back, 0, sizeof(back));
    CHECK(cudaMemcpy2DAsync(&back[0][9][7], width, (int *)((char *)device + 2 * pitch) + 3, pitch,
                            10 * sizeof(int), 6, cudaMemcpyDefault, 0));
    CHECK(cudaDeviceSynchronize());
    ok = true;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            bool inside = x >= 7 && x < 17 && y >= 9 && y < 15;

            ok = ok && back[0][y][x] == (inside ? -host[0][y - 7][x - 4] : 0);
        }
    expect("a window", ok);
    printf("wider than the pitch: %s\n",
           cudaGetErrorName(cudaMemcpy2D(device, pitch, host, width, width + 4, HEIGHT,
                                         cudaMemcpyHostToDevice)));
    cudaGetLastError();
    CHECK(cudaMemcpy2D(back, width, host[1], width, width, HEIGHT, cudaMemcpyHostToHost));
    expect("host to host", memcmp(back, host[1], sizeof(back[0])) == 0);
    CHECK(cudaFree(device));
    CHECK(cudaFree(other));
}

static void three_dimensional()
{
    cudaExtent extent = make_cudaExtent(WIDTH * sizeof(int), HEIGHT, DEPTH);
    cudaMemcpy3DParms all = {0}, part = {0};
    cudaPitchedPtr device;
    bool ok = true;

    fill();
    CHECK(cudaMalloc3D(&device, extent));
    all.srcPtr = make_cudaPitchedPtr(host, WIDTH * sizeof(int), WIDTH, HEIGHT);
    all.dstPtr = device;
    all.extent = extent;
    all.kind = cudaMemcpyHostToDevice;
    CHECK(cudaMemcpy3D(&all));
    negate<<<dim3(3, 3), dim3(16, 8)>>>(
        (int *)((char *)device.ptr + 2 * device.pitch * device.ysize), device.pitch, WIDTH, HEIGHT);
    CHECK_LAUNCH();

    /* A box of 8 by 5 by 3 from (4, 6, 1) of the device to (20, 3, 2) of the host. */
    part.srcPtr = device;
    part.srcPos = make_cudaPos(4 * sizeof(int), 6, 1);
    part.dstPtr = make_cudaPitchedPtr(back, WIDTH * sizeof(int), WIDTH, HEIGHT);
    part.dstPos = make_cudaPos(20 * sizeof(int), 3, 2);
    part.extent = make_cudaExtent(8 * sizeof(int), 5, 3);
    part.kind = cudaMemcpyDeviceToHost;
    CHECK(cudaMemcpy3DAsync(&part, 0));
    CHECK(cudaDeviceSynchronize());
    for (int z = 0; z < DEPTH; z++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                bool inside = x >= 20 && x < 28 && y >= 3 && y < 8 && z >= 2;
                int wanted = inside ? host[z - 1][y + 3][x - 16] * (z - 1 == 2 ? -1 : 1) : 0;

                ok = ok && back[z][y][x] == wanted;
            }
    expect("a box", ok);
    print_checksum("boxes", back, sizeof(back));
    CHECK(cudaFree(device.ptr));
}

int main()
{
    pitched();
    three_dimensional();
    return verdict();
}
