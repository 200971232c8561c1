/* SPDX-License-Identifier: Apache-2.0 */
/*
 * surfaces: arrays written and read by kernels, of every kind and texel size; what lies outside;
 * sums in place; levels of mipmapped arrays; a fault at a place that is not there.
 */
#include "check.h"

enum { W = 8, H = 4, D = 3 };

static int *results;

static cudaArray_t new_array(cudaChannelFormatDesc format, cudaExtent extent, unsigned flags)
{
    cudaArray_t array;
    CHECK(cudaMalloc3DArray(&array, &format, extent, flags | cudaArraySurfaceLoadStore));
    return array;
}

static cudaSurfaceObject_t over(cudaArray_t array)
{
    cudaResourceDesc resource = {};
    cudaSurfaceObject_t object;
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    CHECK(cudaCreateSurfaceObject(&object, &resource));
    return object;
}

static void get(void *to, cudaArray_t array, size_t width, size_t height, size_t depth)
{
    cudaMemcpy3DParms copy = {0};
    copy.srcArray = array;
    copy.dstPtr = make_cudaPitchedPtr(to, width * sizeof(int), width, height);
    copy.extent = make_cudaExtent(width, height, depth);
    copy.kind = cudaMemcpyDeviceToHost;
    CHECK(cudaMemcpy3D(&copy));
}

/* ---- kinds of arrays ---- */

__global__ void write_kinds(cudaSurfaceObject_t one, cudaSurfaceObject_t two,
                            cudaSurfaceObject_t three, cudaSurfaceObject_t ones,
                            cudaSurfaceObject_t twos, cudaSurfaceObject_t cube)
{
    int x = threadIdx.x, y = threadIdx.y, z = threadIdx.z, value = x + 10 * y + 100 * z;
    if (y == 0 && z == 0)
        surf1Dwrite(value, one, x * 4);
    if (z == 0)
        surf2Dwrite(value, two, x * 4, y);
    surf3Dwrite(value, three, x * 4, y, z);
    if (y == 0)
        surf1DLayeredwrite(value, ones, x * 4, z);
    surf2DLayeredwrite(value, twos, x * 4, y, z);
    if (x < 4)
        surfCubemapwrite(value, cube, x * 4, y, z + 3);
}

static bool all_there(cudaArray_t array, int w, int h, int d, int offset)
{
    int numbers[6 * W * H];
    get(numbers, array, w, h, d);
    for (int i = 0; i < w * h * d; i++) {
        int z = i / w / h - offset;
        if (z >= 0 && numbers[i] != i % w + 10 * (i / w % h) + 100 * z)
            return false;
    }
    return true;
}

static void kinds()
{
    cudaChannelFormatDesc format = cudaCreateChannelDesc<int>();
    cudaArray_t arrays[] = {
        new_array(format, make_cudaExtent(W, 0, 0), 0),
        new_array(format, make_cudaExtent(W, H, 0), 0),
        new_array(format, make_cudaExtent(W, H, D), 0),
        new_array(format, make_cudaExtent(W, 0, D), cudaArrayLayered),
        new_array(format, make_cudaExtent(W, H, D), cudaArrayLayered),
        new_array(format, make_cudaExtent(4, 4, 6), cudaArrayCubemap),
    };
    cudaSurfaceObject_t s[6];
    for (int i = 0; i < 6; i++)
        s[i] = over(arrays[i]);
    write_kinds<<<1, dim3(W, H, D)>>>(s[0], s[1], s[2], s[3], s[4], s[5]);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    int line[W * D];
    get(line, arrays[0], W, 1, 1);
    expect("a line", line[0] == 0 && line[7] == 7);
    expect("rows", all_there(arrays[1], W, H, 1, 0));
    expect("a box", all_there(arrays[2], W, H, D, 0));
    get(line, arrays[3], W, 1, D);
    expect("layers of lines", line[3] == 3 && line[W + 3] == 103 && line[2 * W + 7] == 207);
    expect("layers of rows", all_there(arrays[4], W, H, D, 0));
    expect("faces", all_there(arrays[5], 4, 4, 6, 3));
    for (int i = 0; i < 6; i++) {
        CHECK(cudaDestroySurfaceObject(s[i]));
        CHECK(cudaFreeArray(arrays[i]));
    }
}

/* ---- texel sizes, edges ---- */

template <typename T> __global__ void reverse(cudaSurfaceObject_t from, cudaSurfaceObject_t to)
{
    int x = threadIdx.x;
    surf2Dwrite(surf2Dread<T>(from, (W - 1 - x) * (int)sizeof(T), 1), to, x * (int)sizeof(T), 0);
}

template <typename T> static void size(const char *what)
{
    unsigned char bytes[2][W][sizeof(T)], back[W][sizeof(T)];
    bool ok = true;
    for (size_t i = 0; i < sizeof(bytes); i++)
        (&bytes[0][0][0])[i] = (unsigned char)(i * 7 + 1);
    cudaArray_t from = new_array(cudaCreateChannelDesc<T>(), make_cudaExtent(W, 2, 0), 0),
                to = new_array(cudaCreateChannelDesc<T>(), make_cudaExtent(W, 2, 0), 0);
    cudaSurfaceObject_t first = over(from), second = over(to);
    CHECK(cudaMemcpy2DToArray(from, 0, 0, bytes, sizeof(bytes[0]), sizeof(bytes[0]), 2,
                              cudaMemcpyHostToDevice));
    reverse<T><<<1, W>>>(first, second);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy2DFromArray(back, sizeof(back), to, 0, 0, sizeof(back), 1,
                                cudaMemcpyDeviceToHost));
    for (int x = 0; x < W; x++)
        ok = ok && memcmp(back[x], bytes[1][W - 1 - x], sizeof(T)) == 0;
    expect(what, ok);
    CHECK(cudaDestroySurfaceObject(first));
    CHECK(cudaDestroySurfaceObject(second));
    CHECK(cudaFreeArray(from));
    CHECK(cudaFreeArray(to));
}

__global__ void outside(cudaSurfaceObject_t s, int *out)
{
    out[0] = surf2Dread<int>(s, -4, 0, cudaBoundaryModeZero);
    out[1] = surf2Dread<int>(s, 0, H, cudaBoundaryModeZero);
    out[2] = surf2Dread<int>(s, 4 * W + 8, 2, cudaBoundaryModeClamp);
    out[3] = surf2Dread<int>(s, 4, -5, cudaBoundaryModeClamp);
    surf2Dwrite(-1, s, 0, H, cudaBoundaryModeZero);
}

__global__ void sum(cudaSurfaceObject_t s)
{
    asm volatile("sured.b.add.2d.u32.trap [%0, {%1, %2}], %3;" ::"l"(s), "r"(8), "r"(1), "r"(2));
    asm volatile("sured.b.max.2d.s32.trap [%0, {%1, %2}], %3;" ::"l"(s), "r"(12), "r"(1),
                 "r"((int)threadIdx.x));
}

static void edges()
{
    int numbers[H][W], back[H][W];
    cudaArray_t array = new_array(cudaCreateChannelDesc<int>(), make_cudaExtent(W, H, 0), 0);
    cudaSurfaceObject_t s = over(array);
    cudaResourceDesc told;
    for (int i = 0; i < W * H; i++)
        (&numbers[0][0])[i] = 100 + i;
    CHECK(cudaMemcpy2DToArray(array, 0, 0, numbers, sizeof(numbers[0]), sizeof(numbers[0]), H,
                              cudaMemcpyHostToDevice));
    outside<<<1, 1>>>(s, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("zeros outside", results[0] == 0 && results[1] == 0);
    expect("the nearest outside", results[2] == numbers[2][W - 1] && results[3] == numbers[0][1]);
    sum<<<4, 64>>>(s);
    CHECK_LAUNCH();
    CHECK(cudaMemcpy2DFromArray(back, sizeof(back[0]), array, 0, 0, sizeof(back[0]), H,
                                cudaMemcpyDeviceToHost));
    expect("sums in place", back[1][2] == numbers[1][2] + 512 && back[1][3] == numbers[1][3] &&
                                back[H - 1][0] == numbers[H - 1][0]);
    CHECK(cudaGetSurfaceObjectResourceDesc(&told, s));
    expect("the object's array",
           told.resType == cudaResourceTypeArray && told.res.array.array == array);
    CHECK(cudaDestroySurfaceObject(s));
    CHECK(cudaFreeArray(array));
}

/* ---- levels ---- */

__global__ void half(cudaSurfaceObject_t from, cudaSurfaceObject_t to)
{
    int x = threadIdx.x, y = threadIdx.y, total = 0;
    for (int i = 0; i < 4; i++)
        total += surf2Dread<int>(from, (2 * x + (i & 1)) * 4, 2 * y + (i >> 1));
    surf2Dwrite(total / 4, to, x * 4, y);
}

static void levels()
{
    cudaChannelFormatDesc format = cudaCreateChannelDesc<int>();
    cudaMipmappedArray_t mipmap;
    cudaArray_t level[3];
    int numbers[W * W], last[4];
    CHECK(cudaMallocMipmappedArray(&mipmap, &format, make_cudaExtent(W, W, 0), 3,
                                   cudaArraySurfaceLoadStore));
    for (int i = 0; i < 3; i++)
        CHECK(cudaGetMipmappedArrayLevel(&level[i], mipmap, i));
    for (int i = 0; i < W * W; i++)
        numbers[i] = i % W / 4 * 100 + i / W / 4 * 1000 + 7;
    CHECK(cudaMemcpy2DToArray(level[0], 0, 0, numbers, W * 4, W * 4, W, cudaMemcpyHostToDevice));
    for (int i = 1; i < 3; i++) {
        cudaSurfaceObject_t from = over(level[i - 1]), to = over(level[i]);
        half<<<1, dim3(W >> i, W >> i)>>>(from, to);
        CHECK_LAUNCH();
        CHECK(cudaDestroySurfaceObject(from));
        CHECK(cudaDestroySurfaceObject(to));
    }
    CHECK(cudaMemcpy2DFromArray(last, 8, level[2], 0, 0, 8, 2, cudaMemcpyDeviceToHost));
    expect("levels made by kernels",
           last[0] == 7 && last[1] == 107 && last[2] == 1007 && last[3] == 1107);
    CHECK(cudaFreeMipmappedArray(mipmap));
}

int main()
{
    CHECK(cudaMallocManaged(&results, 64 * sizeof(int)));
    kinds();
    size<unsigned char>("texels of 1 byte");
    size<unsigned short>("texels of 2 bytes");
    size<int>("texels of 4 bytes");
    size<float2>("texels of 8 bytes");
    size<uint4>("texels of 16 bytes");
    edges();
    levels();
    CHECK(cudaFree(results));
    return verdict();
}
