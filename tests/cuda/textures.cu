/* SPDX-License-Identifier: Apache-2.0 */
/*
 * textures: fetches from arrays and linear memory against what the programming guide's formulas
 * give: addressing, filtering with weights of 8 bits, read modes, formats, layers, cubes, levels of
 * detail, gathering; and what texture objects say of themselves.
 */
#include <cuda_fp16.h>

#include "check.h"

enum { W = 16, H = 8, D = 4 };

static float image[D][H][W];

static void fill()
{
    for (int z = 0; z < D; z++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                image[z][y][x] = (float)((x * 37 + y * 11 + z * 5) % 64) / 4;
}

/* ---- the reference ---- */

static int wrapped(int i, int n, cudaTextureAddressMode mode)
{
    int m;
    switch (mode) {
    case cudaAddressModeWrap:
        return (i % n + n) % n;
    case cudaAddressModeMirror:
        m = (i % (2 * n) + 2 * n) % (2 * n);
        return m < n ? m : 2 * n - 1 - m;
    case cudaAddressModeClamp:
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    default:
        return i < 0 || i >= n ? -1 : i;
    }
}

static float texel(int x, int y, int z, cudaTextureAddressMode mode)
{
    x = wrapped(x, W, mode);
    y = wrapped(y, H, mode);
    z = wrapped(z, D, mode);
    return x < 0 || y < 0 || z < 0 ? -7.0f : image[z][y][x];
}

/* Where a coordinate falls: the texel and the weight of the next one. */
static int place(float at, bool linear, float *weight)
{
    if (!linear) {
        *weight = 0;
        return (int)floorf(at);
    }
    float first = floorf((at - 0.5f) * 256 + 0.5f);
    *weight = first / 256 - floorf(first / 256);
    return (int)floorf(first / 256);
}

static float reference(float x, float y, float z, bool deep, bool linear,
                       cudaTextureAddressMode mode)
{
    float a, b, c = 0, sum = 0;
    int i = place(x, linear, &a), j = place(y, linear, &b), k = deep ? place(z, linear, &c) : 0;
    for (int corner = 0; corner < 8; corner++) {
        float weight =
            (corner & 1 ? a : 1 - a) * (corner & 2 ? b : 1 - b) * (corner & 4 ? c : 1 - c);
        if (weight > 0)
            sum += weight * texel(i + (corner & 1), j + (corner >> 1 & 1),
                                  deep ? k + (corner >> 2) : 0, mode);
    }
    return sum;
}

/* ---- arrays and objects ---- */

static cudaArray_t new_array(cudaChannelFormatDesc format, cudaExtent extent, unsigned flags,
                             const void *bytes, size_t texel_size)
{
    cudaArray_t array;
    cudaMemcpy3DParms copy = {0};
    CHECK(cudaMalloc3DArray(&array, &format, extent, flags));
    copy.extent = make_cudaExtent(extent.width, extent.height ? extent.height : 1,
                                  extent.depth ? extent.depth : 1);
    copy.srcPtr = make_cudaPitchedPtr((void *)bytes, extent.width * texel_size, extent.width,
                                      copy.extent.height);
    copy.dstArray = array;
    copy.kind = cudaMemcpyHostToDevice;
    CHECK(cudaMemcpy3D(&copy));
    return array;
}

static cudaTextureDesc plain()
{
    cudaTextureDesc texture = {};
    for (int i = 0; i < 3; i++)
        texture.addressMode[i] = cudaAddressModeClamp;
    for (int i = 0; i < 4; i++)
        texture.borderColor[i] = -7;
    return texture;
}

static cudaTextureObject_t over(cudaArray_t array, const cudaTextureDesc &texture)
{
    cudaResourceDesc resource = {};
    cudaTextureObject_t object;
    resource.resType = cudaResourceTypeArray;
    resource.res.array.array = array;
    CHECK(cudaCreateTextureObject(&object, &resource, &texture, NULL));
    return object;
}

static float *results;

/* ---- addressing and filtering ---- */

enum { POINTS = 600 };

static __host__ __device__ float coordinate(int i, int n)
{
    return (float)((i * 7919) % 1009) / 1009 * 3 * n - n; /* from -n to 2n */
}

__global__ void fetch2(cudaTextureObject_t t, float sx, float sy, float *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < POINTS)
        out[i] = tex2D<float>(t, coordinate(i, W) * sx, coordinate(i * 3, H) * sy);
}

__global__ void fetch3(cudaTextureObject_t t, float sx, float sy, float sz, float *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < POINTS)
        out[i] = tex3D<float>(t, coordinate(i, W) * sx, coordinate(i * 3, H) * sy,
                              coordinate(i * 5, D) * sz);
}

static void modes()
{
    static const char *const names[] = {"wrap", "clamp", "mirror", "border"};
    cudaArray_t flat = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(W, H, 0), 0, image,
                                 sizeof(float)),
                deep = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(W, H, D), 0, image,
                                 sizeof(float));
    for (int variant = 0; variant < 16; variant++) {
        bool linear = variant & 1, normalized = variant & 2, ok2 = true, ok3 = true;
        int mode = variant >> 2;
        char what[60];
        cudaTextureDesc texture = plain();
        cudaTextureAddressMode effective = (cudaTextureAddressMode)mode;
        if (!normalized && mode != cudaAddressModeBorder)
            effective = cudaAddressModeClamp;
        for (int i = 0; i < 3; i++)
            texture.addressMode[i] = (cudaTextureAddressMode)mode;
        texture.filterMode = linear ? cudaFilterModeLinear : cudaFilterModePoint;
        texture.normalizedCoords = normalized;
        cudaTextureObject_t two = over(flat, texture), three = over(deep, texture);
        float sx = normalized ? 1.0f / W : 1, sy = normalized ? 1.0f / H : 1,
              sz = normalized ? 1.0f / D : 1;
        fetch2<<<(POINTS + 63) / 64, 64>>>(two, sx, sy, results);
        CHECK_LAUNCH();
        CHECK(cudaDeviceSynchronize());
        for (int i = 0; i < POINTS; i++)
            ok2 = ok2 && fabsf(results[i] - reference(coordinate(i, W), coordinate(i * 3, H), 0,
                                                      false, linear, effective)) < 0.1f;
        fetch3<<<(POINTS + 63) / 64, 64>>>(three, sx, sy, sz, results);
        CHECK_LAUNCH();
        CHECK(cudaDeviceSynchronize());
        for (int i = 0; i < POINTS; i++)
            ok3 = ok3 && fabsf(results[i] - reference(coordinate(i, W), coordinate(i * 3, H),
                                                      coordinate(i * 5, D), true, linear,
                                                      effective)) < 0.1f;
        snprintf(what, sizeof(what), "%s, %s%s", names[mode], linear ? "linear" : "point",
                 normalized ? ", normalized" : "");
        expect(what, ok2 && ok3);
        CHECK(cudaDestroyTextureObject(two));
        CHECK(cudaDestroyTextureObject(three));
    }
    CHECK(cudaFreeArray(flat));
    CHECK(cudaFreeArray(deep));
}

/* ---- formats and read modes ---- */

template <typename T, typename R> __global__ void read_all(cudaTextureObject_t t, float *out)
{
    R value = tex2D<R>(t, threadIdx.x + 0.5f, 0.5f);
    out[threadIdx.x * 2] = (float)value.x;
    out[threadIdx.x * 2 + 1] = (float)value.y;
}

template <typename T2, typename T, typename R>
static void format(const char *what, cudaTextureReadMode mode, float (*value)(T))
{
    const T numbers[8] = {(T)0, (T)1, (T)-1, (T)100, (T)127, (T)-128, (T)77, (T)255};
    bool ok = true;
    cudaArray_t array =
        new_array(cudaCreateChannelDesc<T2>(), make_cudaExtent(4, 1, 0), 0, numbers, sizeof(T2));
    cudaTextureDesc texture = plain();
    texture.readMode = mode;
    cudaTextureObject_t object = over(array, texture);
    read_all<T, R><<<1, 4>>>(object, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 8; i++)
        ok = ok && fabsf(results[i] - value(numbers[i])) <= 1e-6f * fabsf(value(numbers[i]));
    expect(what, ok);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFreeArray(array));
}

template <typename T> static float same(T x)
{
    return (float)x;
}
static float unsigned8(unsigned char x)
{
    return x / 255.0f;
}
static float signed8(signed char x)
{
    return fmaxf(x / 127.0f, -1);
}
static float unsigned16(unsigned short x)
{
    return x / 65535.0f;
}
static float signed16(short x)
{
    return fmaxf(x / 32767.0f, -1);
}

static void formats()
{
    format<uchar2, unsigned char, uchar2>("u8", cudaReadModeElementType, same<unsigned char>);
    format<char2, signed char, char2>("s8", cudaReadModeElementType, same<signed char>);
    format<ushort2, unsigned short, ushort2>("u16", cudaReadModeElementType, same<unsigned short>);
    format<short2, short, short2>("s16", cudaReadModeElementType, same<short>);
    format<uint2, unsigned, uint2>("u32", cudaReadModeElementType, same<unsigned>);
    format<int2, int, int2>("s32", cudaReadModeElementType, same<int>);
    format<float2, float, float2>("f32", cudaReadModeElementType, same<float>);
    format<uchar2, unsigned char, float2>("u8 as fractions", cudaReadModeNormalizedFloat,
                                          unsigned8);
    format<char2, signed char, float2>("s8 as fractions", cudaReadModeNormalizedFloat, signed8);
    format<ushort2, unsigned short, float2>("u16 as fractions", cudaReadModeNormalizedFloat,
                                            unsigned16);
    format<short2, short, float2>("s16 as fractions", cudaReadModeNormalizedFloat, signed16);
}

static void halves()
{
    __half numbers[8];
    bool ok = true;
    for (int i = 0; i < 8; i++)
        numbers[i] = __float2half((float)i * 1.5f - 3);
    cudaArray_t array =
        new_array(cudaCreateChannelDescHalf2(), make_cudaExtent(4, 1, 0), 0, numbers, 4);
    cudaTextureObject_t object = over(array, plain());
    read_all<float, float2><<<1, 4>>>(object, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 8; i++)
        ok = ok && results[i] == (float)i * 1.5f - 3;
    expect("f16", ok);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFreeArray(array));
}

/* ---- linear memory ---- */

__global__ void fetch_linear(cudaTextureObject_t t, float *out)
{
    out[threadIdx.x] = tex1Dfetch<float>(t, (int)threadIdx.x - 2);
}

static void linear_memory()
{
    float *memory;
    size_t pitch;
    bool ok = true;
    cudaResourceDesc resource = {};
    cudaTextureDesc texture = plain();
    cudaTextureObject_t object;
    CHECK(cudaMalloc(&memory, W * sizeof(float)));
    CHECK(cudaMemcpy(memory, image, W * sizeof(float), cudaMemcpyHostToDevice));
    resource.resType = cudaResourceTypeLinear;
    resource.res.linear.devPtr = memory;
    resource.res.linear.desc = cudaCreateChannelDesc<float>();
    resource.res.linear.sizeInBytes = W * sizeof(float);
    CHECK(cudaCreateTextureObject(&object, &resource, &texture, NULL));
    fetch_linear<<<1, W + 4>>>(object, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < W + 4; i++)
        ok = ok && results[i] == (i < 2 || i >= W + 2 ? 0 : image[0][0][i - 2]);
    expect("linear memory, zeros outside", ok);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFree(memory));

    CHECK(cudaMallocPitch(&memory, &pitch, W * sizeof(float), H));
    CHECK(cudaMemcpy2D(memory, pitch, image, W * sizeof(float), W * sizeof(float), H,
                       cudaMemcpyHostToDevice));
    resource.resType = cudaResourceTypePitch2D;
    resource.res.pitch2D.devPtr = memory;
    resource.res.pitch2D.desc = cudaCreateChannelDesc<float>();
    resource.res.pitch2D.width = W;
    resource.res.pitch2D.height = H;
    resource.res.pitch2D.pitchInBytes = pitch;
    texture.filterMode = cudaFilterModeLinear;
    CHECK(cudaCreateTextureObject(&object, &resource, &texture, NULL));
    fetch2<<<(POINTS + 63) / 64, 64>>>(object, 1, 1, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    ok = true;
    for (int i = 0; i < POINTS; i++)
        ok = ok && fabsf(results[i] - reference(coordinate(i, W), coordinate(i * 3, H), 0, false,
                                                true, cudaAddressModeClamp)) < 0.1f;
    expect("rows in memory", ok);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFree(memory));
}

/* ---- layers, cubes, gathering ---- */

__global__ void fetch_layers(cudaTextureObject_t one, cudaTextureObject_t two, float *out)
{
    int layer = (int)threadIdx.x;
    out[threadIdx.x * 2] = tex1DLayered<float>(one, 3.5f, layer);
    out[threadIdx.x * 2 + 1] = tex2DLayered<float>(two, 3.5f, 2.5f, layer);
}

static void layers()
{
    bool ok = true;
    cudaArray_t one = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(W, 0, D),
                                cudaArrayLayered, image, sizeof(float)),
                two = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(W, H, D),
                                cudaArrayLayered, image, sizeof(float));
    cudaTextureObject_t first = over(one, plain()), second = over(two, plain());
    fetch_layers<<<1, D>>>(first, second, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int layer = 0; layer < D; layer++)
        ok = ok && results[layer * 2] == (&image[0][0][0])[layer * W + 3] &&
             results[layer * 2 + 1] == image[layer][2][3];
    expect("layers", ok);
    CHECK(cudaDestroyTextureObject(first));
    CHECK(cudaDestroyTextureObject(second));
    CHECK(cudaFreeArray(one));
    CHECK(cudaFreeArray(two));
}

enum { EDGE = 4 };

/* The middle of each texel of each face, as a direction. */
__global__ void fetch_cube(cudaTextureObject_t cube, cudaTextureObject_t cubes, float *out)
{
    int i = threadIdx.x, face = i / (EDGE * EDGE);
    float s = ((i % EDGE) + 0.5f) / EDGE * 2 - 1, t = ((i / EDGE % EDGE) + 0.5f) / EDGE * 2 - 1;
    float x[6] = {1, -1, s, s, s, -s}, y[6] = {-t, -t, 1, -1, -t, -t}, z[6] = {-s, s, t, -t, 1, -1};
    out[i * 2] = texCubemap<float>(cube, x[face] * 3, y[face] * 3, z[face] * 3);
    out[i * 2 + 1] = texCubemapLayered<float>(cubes, x[face], y[face], z[face], 1);
}

static void cubes()
{
    float numbers[12 * EDGE * EDGE];
    bool ok = true;
    for (int i = 0; i < 12 * EDGE * EDGE; i++)
        numbers[i] = (float)i;
    cudaArray_t one = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(EDGE, EDGE, 6),
                                cudaArrayCubemap, numbers, sizeof(float)),
                two = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(EDGE, EDGE, 12),
                                cudaArrayCubemap | cudaArrayLayered, numbers, sizeof(float));
    cudaTextureDesc texture = plain();
    texture.normalizedCoords = 1;
    cudaTextureObject_t cube = over(one, texture), layered = over(two, texture);
    fetch_cube<<<1, 6 * EDGE * EDGE>>>(cube, layered, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < 6 * EDGE * EDGE; i++)
        ok = ok && results[i * 2] == (float)i && results[i * 2 + 1] == (float)(i + 6 * EDGE * EDGE);
    expect("cubes", ok);
    CHECK(cudaDestroyTextureObject(cube));
    CHECK(cudaDestroyTextureObject(layered));
    CHECK(cudaFreeArray(one));
    CHECK(cudaFreeArray(two));
}

__global__ void gather(cudaTextureObject_t t, float *out)
{
    float4 value = tex2Dgather<float4>(t, 4.0f, 3.0f, 0);
    out[0] = value.x, out[1] = value.y, out[2] = value.z, out[3] = value.w;
}

static void gathering()
{
    cudaArray_t array = new_array(cudaCreateChannelDesc<float>(), make_cudaExtent(W, H, 0),
                                  cudaArrayTextureGather, image, sizeof(float));
    cudaTextureObject_t object = over(array, plain());
    gather<<<1, 1>>>(object, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    expect("gathering", results[0] == image[0][3][3] && results[1] == image[0][3][4] &&
                            results[2] == image[0][2][4] && results[3] == image[0][2][3]);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFreeArray(array));
}

/* ---- levels of detail ---- */

__global__ void fetch_levels(cudaTextureObject_t t, float *out)
{
    float level = (float)threadIdx.x / 4;
    out[threadIdx.x * 2] = tex2DLod<float>(t, 0.5f, 0.5f, level);
    float step = exp2f(level) / W; /* of a texel of that level */
    out[threadIdx.x * 2 + 1] =
        tex2DGrad<float>(t, 0.5f, 0.5f, make_float2(step, 0), make_float2(0, step / 2));
}

static void levels()
{
    enum { LEVELS = 5 };
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    cudaMipmappedArray_t mipmap;
    cudaResourceDesc resource = {}, told;
    cudaTextureDesc texture = plain();
    cudaTextureObject_t object;
    CHECK(cudaMallocMipmappedArray(&mipmap, &format, make_cudaExtent(W, W, 0), 20));
    for (int i = 0; i < LEVELS; i++) {
        float numbers[W * W];
        cudaArray_t level;
        cudaExtent extent;
        CHECK(cudaGetMipmappedArrayLevel(&level, mipmap, i));
        CHECK(cudaArrayGetInfo(NULL, &extent, NULL, level));
        for (int k = 0; k < W * W; k++)
            numbers[k] = (float)(i * 10);
        CHECK(cudaMemcpy2DToArray(level, 0, 0, numbers, extent.width * sizeof(float),
                                  extent.width * sizeof(float), extent.height,
                                  cudaMemcpyHostToDevice));
        printf("level %d: %zu by %zu\n", i, extent.width, extent.height);
    }
    resource.resType = cudaResourceTypeMipmappedArray;
    resource.res.mipmap.mipmap = mipmap;
    texture.normalizedCoords = 1;
    texture.filterMode = texture.mipmapFilterMode = cudaFilterModeLinear;
    texture.minMipmapLevelClamp = 0.5f;
    texture.maxMipmapLevelClamp = 3.5f;
    CHECK(cudaCreateTextureObject(&object, &resource, &texture, NULL));
    fetch_levels<<<1, 20>>>(object, results);
    CHECK_LAUNCH();
    CHECK(cudaDeviceSynchronize());
    bool ok = true, slopes = true;
    for (int i = 0; i < 20; i++) {
        float level = fminf(fmaxf((float)i / 4, 0.5f), 3.5f);
        ok = ok && fabsf(results[i * 2] - level * 10) < 0.1f;
        slopes = slopes && fabsf(results[i * 2 + 1] - level * 10) < 0.1f;
    }
    expect("levels", ok);
    expect("levels by slopes", slopes);
    CHECK(cudaGetTextureObjectResourceDesc(&told, object));
    expect("the object's array",
           told.resType == cudaResourceTypeMipmappedArray && told.res.mipmap.mipmap == mipmap);
    CHECK(cudaDestroyTextureObject(object));
    CHECK(cudaFreeMipmappedArray(mipmap));
}

int main()
{
    fill();
    CHECK(cudaMallocManaged(&results, 4096 * sizeof(float)));
    modes();
    formats();
    halves();
    linear_memory();
    layers();
    cubes();
    gathering();
    levels();
    CHECK(cudaFree(results));
    return verdict();
}
