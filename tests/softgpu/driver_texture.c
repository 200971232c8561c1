/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software device's driver: texture and surface objects. What they may be made of, what kernels
 * get that use numbers which are none, or memory that is gone.
 */
#include "driver.h"

/* fetch(out, number, x, y) reads a texel, put(number, x, y) writes 7 at that byte and row. */
static const char texture_ptx[] =
    ".version 7.0\n"
    ".target sm_70\n"
    ".address_size 64\n"
    ".visible .entry fetch(.param .u64 p0, .param .u64 p1, .param .f32 p2, .param .f32 p3)\n"
    "{\n"
    ".reg .b64 %rd<3>; .reg .f32 %f<7>;\n"
    "ld.param.u64 %rd1, [p0];\n"
    "ld.param.u64 %rd2, [p1];\n"
    "ld.param.f32 %f1, [p2];\n"
    "ld.param.f32 %f2, [p3];\n"
    "tex.2d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [%rd2, {%f1, %f2}];\n"
    "st.global.f32 [%rd1], %f3;\n"
    "ret;\n"
    "}\n"
    ".visible .entry put(.param .u64 p0, .param .u32 p1, .param .u32 p2)\n"
    "{\n"
    ".reg .b64 %rd<2>; .reg .b32 %r<4>;\n"
    "ld.param.u64 %rd1, [p0];\n"
    "ld.param.u32 %r1, [p1];\n"
    "ld.param.u32 %r2, [p2];\n"
    "mov.u32 %r3, 7;\n"
    "sust.b.2d.b32.trap [%rd1, {%r1, %r2}], {%r3};\n"
    "ret;\n"
    "}\n";

static CUfunction function_of(const char *name)
{
    CUmodule module;
    CUfunction function;
    ok(cuModuleLoadData(&module, texture_ptx));
    ok(cuModuleGetFunction(&function, module, name));
    return function;
}

static CUresult fetch(CUtexObject number, float x, float y, float *value)
{
    CUdeviceptr out;
    ok(cuMemAlloc_v2(&out, 4));
    void *parameters[] = {&out, &number, &x, &y};
    ok(driver_launch(function_of("fetch"), 1, 1, NULL, parameters));
    CUresult result = cuCtxSynchronize();
    if (result == CUDA_SUCCESS)
        ok(cuMemcpyDtoH_v2(value, out, 4));
    return result;
}

static CUresult put(CUsurfObject number, unsigned x, unsigned y)
{
    void *parameters[] = {&number, &x, &y};
    ok(driver_launch(function_of("put"), 1, 1, NULL, parameters));
    return cuCtxSynchronize();
}

static CUDA_RESOURCE_DESC rows(CUdeviceptr memory)
{
    return (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_PITCH2D,
                                .res.pitch2D = {.devPtr = memory,
                                                .format = CU_AD_FORMAT_FLOAT,
                                                .numChannels = 1,
                                                .width = 4,
                                                .height = 4,
                                                .pitchInBytes = 32}};
}

static CUarray new_array(unsigned flags)
{
    CUarray array;
    const CUDA_ARRAY3D_DESCRIPTOR descriptor = {
        .Width = 4, .Height = 4, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1, .Flags = flags};
    ok(cuArray3DCreate_v2(&array, &descriptor));
    return array;
}

static void test_made_of(void **state)
{
    (void)state;
    CUtexObject number;
    CUdeviceptr memory;
    const CUDA_TEXTURE_DESC plain = {.flags = 0};
    ok(cuMemAlloc_v2(&memory, 1024));
    CUDA_RESOURCE_DESC resource = rows(memory);
    ok(cuTexObjectCreate(&number, &resource, &plain, NULL));
    ok(cuTexObjectDestroy(number));
    fails(cuTexObjectDestroy(number), CUDA_ERROR_INVALID_VALUE);
    fails(cuTexObjectCreate(NULL, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuTexObjectCreate(&number, NULL, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    fails(cuTexObjectCreate(&number, &resource, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    const CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32, .width = 4};
    fails(cuTexObjectCreate(&number, &resource, &plain, &view), CUDA_ERROR_INVALID_VALUE);
    resource.res.pitch2D.devPtr += 4; /* not aligned */
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    resource = rows(memory);
    resource.res.pitch2D.pitchInBytes = 8; /* narrower than a row, and odd */
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    resource = rows(memory);
    resource.res.pitch2D.width = SIZE_MAX;
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    resource = rows(memory);
    resource.res.pitch2D.numChannels = 3;
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_LINEAR,
                                    .res.linear = {.devPtr = memory,
                                                   .format = CU_AD_FORMAT_FLOAT,
                                                   .numChannels = 4,
                                                   .sizeInBytes = 8}}; /* less than a texel */
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_VALUE);
    resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_ARRAY};
    fails(cuTexObjectCreate(&number, &resource, &plain, NULL), CUDA_ERROR_INVALID_HANDLE);
    ok(cuMemFree_v2(memory));
}

static void test_views(void **state)
{
    (void)state;
    CUtexObject number;
    CUmipmappedArray mipmap;
    CUarray level;
    float value = 0, first[16 * 16], second[8 * 8];
    const CUDA_ARRAY3D_DESCRIPTOR descriptor = {
        .Width = 16, .Height = 16, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 1};
    for (int i = 0; i < 16 * 16; i++)
        first[i] = (float)i;
    for (int i = 0; i < 8 * 8; i++)
        second[i] = (float)(1000 + i);
    ok(cuMipmappedArrayCreate(&mipmap, &descriptor, 2));
    for (unsigned i = 0; i < 2; i++) {
        size_t n = 16 >> i;
        ok(cuMipmappedArrayGetLevel(&level, mipmap, i));
        const CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                                    .srcHost = i ? second : first,
                                    .srcPitch = n * 4,
                                    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                                    .dstArray = level,
                                    .WidthInBytes = n * 4,
                                    .Height = n};
        ok(cuMemcpy2D_v2(&copy));
        fails(cuArrayDestroy(level), CUDA_ERROR_INVALID_HANDLE);
    }
    fails(cuMipmappedArrayGetLevel(&level, mipmap, 2), CUDA_ERROR_INVALID_VALUE);
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
                                         .res.mipmap.hMipmappedArray = mipmap};
    const CUDA_TEXTURE_DESC texture = {.flags = CU_TRSF_NORMALIZED_COORDINATES,
                                       .maxMipmapLevelClamp = 5};
    /* Words seen as floats, the second level alone. */
    CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32,
                                    .width = 16,
                                    .height = 16,
                                    .firstMipmapLevel = 1,
                                    .lastMipmapLevel = 1};
    ok(cuTexObjectCreate(&number, &resource, &texture, &view));
    ok(fetch(number, 0.99f, 0, &value));
    assert_true(value == 1007.0f);
    ok(cuTexObjectDestroy(number));
    view.lastMipmapLevel = 2;
    fails(cuTexObjectCreate(&number, &resource, &texture, &view), CUDA_ERROR_INVALID_VALUE);
    view.lastMipmapLevel = 1;
    view.format = CU_RES_VIEW_FORMAT_FLOAT_2X32;
    fails(cuTexObjectCreate(&number, &resource, &texture, &view), CUDA_ERROR_INVALID_VALUE);
    ok(cuMipmappedArrayDestroy(mipmap));
    fails(cuMipmappedArrayDestroy(mipmap), CUDA_ERROR_INVALID_HANDLE);
}

/* Arrays live as long as what was made of them. */
static void test_outlived(void **state)
{
    (void)state;
    CUtexObject number;
    CUarray array = new_array(0);
    float value = 1;
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                         .res.array.hArray = array};
    const CUDA_TEXTURE_DESC plain = {.flags = 0};
    const float zeros[4] = {0};
    ok(cuMemcpyHtoA_v2(array, 0, zeros, 16));
    ok(cuTexObjectCreate(&number, &resource, &plain, NULL));
    ok(cuArrayDestroy(array));
    ok(fetch(number, 0, 0, &value));
    assert_true(value == 0.0f);
    ok(cuTexObjectDestroy(number));
}

static void test_gone_texture(void **state)
{
    (void)state;
    CUtexObject number;
    CUarray array = new_array(0);
    float value;
    const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                         .res.array.hArray = array};
    const CUDA_TEXTURE_DESC plain = {.flags = 0};
    ok(cuTexObjectCreate(&number, &resource, &plain, NULL));
    ok(cuTexObjectDestroy(number));
    fails(fetch(number, 0, 0, &value), CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void test_gone_memory(void **state)
{
    (void)state;
    CUtexObject number;
    CUdeviceptr memory;
    float value = 0, one = 1;
    const CUDA_TEXTURE_DESC plain = {.flags = 0};
    ok(cuMemAlloc_v2(&memory, 4096));
    ok(cuMemcpyHtoD_v2(memory + 2048, &one, 4)); /* its start will be something else's */
    const CUDA_RESOURCE_DESC resource = rows(memory + 2048);
    ok(cuTexObjectCreate(&number, &resource, &plain, NULL));
    ok(fetch(number, -1e30f, -1e30f, &value));
    assert_true(value == 1.0f);
    ok(cuMemFree_v2(memory));
    fails(fetch(number, 0, 0, &value), CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void test_false_numbers(void **state)
{
    (void)state;
    static const CUtexObject numbers[] = {0, 1, 0x7fffffffffff, ~0ull};
    CUdevice device;
    ok(cuCtxGetDevice(&device));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        CUcontext context;
        float value;
        ok(cuCtxCreate_v2(&context, 0, device));
        fails(fetch(numbers[i], 0, 0, &value), CUDA_ERROR_ILLEGAL_ADDRESS);
        ok(cuCtxDestroy_v2(context));
    }
}

static void test_surfaces(void **state)
{
    (void)state;
    CUsurfObject number;
    CUtexObject texture;
    float values[16] = {0};
    uint32_t seven = 7;
    CUarray array = new_array(0), writable = new_array(CUDA_ARRAY3D_SURFACE_LDST);
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array},
                       told;
    const CUDA_TEXTURE_DESC plain = {.flags = 0};
    fails(cuSurfObjectCreate(&number, &resource), CUDA_ERROR_INVALID_VALUE);
    resource.res.array.hArray = writable;
    ok(cuSurfObjectCreate(&number, &resource));
    ok(cuSurfObjectGetResourceDesc(&told, number));
    assert_ptr_equal(told.res.array.hArray, writable);
    fails(cuTexObjectDestroy(number), CUDA_ERROR_INVALID_VALUE);
    ok(put(number, 12, 0));
    ok(cuMemcpyAtoH_v2(values, writable, 0, 16));
    assert_memory_equal(&values[3], &seven, 4);
    ok(cuTexObjectCreate(&texture, &resource, &plain, NULL));
    fails(cuSurfObjectDestroy(texture), CUDA_ERROR_INVALID_VALUE);
    ok(cuSurfObjectDestroy(number));
    fails(put(texture, 0, 0), CUDA_ERROR_ILLEGAL_ADDRESS); /* a texture is no surface */
}

static void test_surface_edge(void **state)
{
    (void)state;
    static const unsigned places[][2] = {
        {16, 0}, {0, 4}, {(unsigned)-4, 0}, {0, (unsigned)-1}, {0x7fffffff & ~3u, 0x7fffffff}};
    CUdevice device;
    ok(cuCtxGetDevice(&device));
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CUcontext context;
        CUsurfObject number;
        ok(cuCtxCreate_v2(&context, 0, device));
        const CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY,
                                             .res.array.hArray =
                                                 new_array(CUDA_ARRAY3D_SURFACE_LDST)};
        ok(cuSurfObjectCreate(&number, &resource));
        fails(put(number, places[i][0], places[i][1]), CUDA_ERROR_LAUNCH_FAILED);
        ok(cuCtxDestroy_v2(context));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_made_of),     driver_test(test_views),
        driver_test(test_outlived),    driver_test(test_gone_texture),
        driver_test(test_gone_memory), driver_test(test_false_numbers),
        driver_test(test_surfaces),    driver_test(test_surface_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
