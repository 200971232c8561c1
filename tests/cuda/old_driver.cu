/* SPDX-License-Identifier: Apache-2.0 */
/*
 * old_driver: what programs of the first versions of CUDA call and the driver still has: launches
 * whose block and parameters are set one by one, texture and surface references of modules.
 */
#include <cuda.h>

#include "check.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { WIDTH = 32, HEIGHT = 8, COUNT = WIDTH * HEIGHT };

static const char ptx[] = R"(
.version 7.0
.target sm_75
.address_size 64
.global .texref flat;
.global .texref line;
.visible .global .surfref board;
.extern .shared .align 4 .b8 room[];

.visible .entry scale(.param .u64 to, .param .u32 times, .param .f32 plus)
{
    .reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .f32 %f<3>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [times];
    ld.param.f32 %f1, [plus];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r2, %r2, %r3, %r4;
    mov.u32 %r5, %dynamic_smem_size;
    mad.lo.u32 %r1, %r1, %r2, %r5;
    cvt.rn.f32.u32 %f2, %r1;
    add.f32 %f2, %f2, %f1;
    mul.wide.u32 %rd2, %r2, 4;
    add.u64 %rd1, %rd1, %rd2;
    st.global.f32 [%rd1], %f2;
    ret;
}

.visible .entry read_flat(.param .u64 to, .param .f32 x, .param .f32 y)
{
    .reg .b64 %rd<2>; .reg .f32 %f<7>;
    ld.param.u64 %rd1, [to];
    ld.param.f32 %f1, [x];
    ld.param.f32 %f2, [y];
    tex.2d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [flat, {%f1, %f2}];
    st.global.f32 [%rd1], %f3;
    ret;
}

.visible .entry read_line(.param .u64 to, .param .u32 x)
{
    .reg .b64 %rd<2>; .reg .b32 %r<2>; .reg .b32 %v<5>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [x];
    tex.1d.v4.u32.s32 {%v1, %v2, %v3, %v4}, [line, {%r1}];
    st.global.u32 [%rd1], %v1;
    ret;
}

.visible .entry write_board(.param .u32 value, .param .u32 x, .param .u32 y)
{
    .reg .b32 %r<4>;
    ld.param.u32 %r1, [value];
    ld.param.u32 %r2, [x];
    ld.param.u32 %r3, [y];
    shl.b32 %r2, %r2, 2;
    sust.b.2d.b32.trap [board, {%r2, %r3}], {%r1};
    ret;
}
)";

static CUmodule module;
static CUdeviceptr result;

static CUfunction function(const char *name)
{
    CUfunction found;
    CHECK(cuModuleGetFunction(&found, module, name));
    return found;
}

/* ---- launches ---- */

static void launches()
{
    CUfunction scale = function("scale");
    float values[COUNT] = {0};
    bool all = true;

    SHOW(cuLaunch(scale)); /* nothing is set */
    SHOW(cuFuncSetBlockShape(scale, 0, 1, 1));
    CHECK(cuFuncSetBlockShape(scale, WIDTH, 1, 1));
    CHECK(cuFuncSetSharedSize(scale, 1024));
    SHOW(cuParamSetSize(scale, 1 << 20));
    SHOW(cuParamSeti(scale, -4, 0));
    SHOW(cuParamSeti(scale, 1 << 20, 0));
    CHECK(cuParamSetv(scale, 0, &result, sizeof(result)));
    CHECK(cuParamSeti(scale, 8, 3));
    CHECK(cuParamSetf(scale, 12, 0.5f));
    CHECK(cuParamSetSize(scale, 16));
    SHOW(cuLaunchGrid(scale, 0, 1));
    CHECK(cuLaunchGrid(scale, HEIGHT, 1));
    CHECK(cuMemcpyDtoH(values, result, sizeof(values)));
    for (int i = 0; i < COUNT; i++)
        all &= values[i] == 3.0f * i + 1024.5f;
    expect("cuLaunchGrid", all);
    CHECK(cuParamSetf(scale, 12, 0.25f));
    CHECK(cuFuncSetSharedSize(scale, 0));
    CHECK(cuLaunch(scale));
    CHECK(cuMemcpyDtoH(values, result, sizeof(values)));
    expect("cuLaunch is one block, with what else was set",
           values[WIDTH - 1] == 3.0f * (WIDTH - 1) + 0.25f && values[WIDTH] == 3.0f * WIDTH + 1024.5f);
    CUstream stream;
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuParamSetf(scale, 12, 4.0f));
    CHECK(cuLaunchGridAsync(scale, 2, 1, stream));
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuMemcpyDtoH(values, result, sizeof(values)));
    expect("cuLaunchGridAsync", values[2 * WIDTH - 1] == 3.0f * (2 * WIDTH - 1) + 4.0f);
    CHECK(cuStreamDestroy(stream));
}

/* ---- references ---- */

static float read_flat(float x, float y)
{
    float value = 0;
    void *params[] = {&result, &x, &y};
    CHECK(cuLaunchKernel(function("read_flat"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
    CHECK(cuMemcpyDtoH(&value, result, sizeof(value)));
    return value;
}

static unsigned read_line(unsigned x)
{
    unsigned value = 0;
    void *params[] = {&result, &x};
    CHECK(cuLaunchKernel(function("read_line"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
    CHECK(cuMemcpyDtoH(&value, result, sizeof(value)));
    return value;
}

static CUarray filled_array(float first)
{
    CUDA_ARRAY_DESCRIPTOR descriptor = {WIDTH, HEIGHT, CU_AD_FORMAT_FLOAT, 1};
    static float texels[COUNT];
    CUDA_MEMCPY2D copy = {};
    CUarray array;

    for (int i = 0; i < COUNT; i++)
        texels[i] = first + i;
    CHECK(cuArrayCreate(&array, &descriptor));
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = texels;
    copy.srcPitch = WIDTH * sizeof(float);
    copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    copy.dstArray = array;
    copy.WidthInBytes = WIDTH * sizeof(float);
    copy.Height = HEIGHT;
    CHECK(cuMemcpy2D(&copy));
    return array;
}

static void flat_texture()
{
    CUtexref flat, again, none;
    CUarray first = filled_array(0), second = filled_array(1000), bound = nullptr;
    CUarray_format format;
    CUfilter_mode filter;
    CUaddress_mode mode;
    unsigned flags = 77;
    int channels = 0;

    CHECK(cuModuleGetTexRef(&flat, module, "flat"));
    CHECK(cuModuleGetTexRef(&again, module, "flat"));
    expect("one reference by its name", flat == again);
    SHOW(cuModuleGetTexRef(&none, module, "scale"));
    SHOW(cuModuleGetTexRef(&none, module, "board"));
    SHOW(cuModuleGetTexRef(&none, module, "nothing"));
    CHECK(cuTexRefSetArray(flat, first, CU_TRSA_OVERRIDE_FORMAT));
    CHECK(cuTexRefGetArray(&bound, flat));
    expect("the array is bound", bound == first);
    CHECK(cuTexRefSetFilterMode(flat, CU_TR_FILTER_MODE_POINT));
    for (int d = 0; d < 2; d++)
        CHECK(cuTexRefSetAddressMode(flat, d, CU_TR_ADDRESS_MODE_CLAMP));
    CHECK(cuTexRefSetFlags(flat, 0));
    CHECK(cuParamSetTexRef(function("read_flat"), CU_PARAM_TR_DEFAULT, flat));
    expect("texels by whole coordinates", read_flat(3, 2) == 2 * WIDTH + 3);
    expect("clamped", read_flat(100, 100) == COUNT - 1);
    CHECK(cuTexRefSetFilterMode(flat, CU_TR_FILTER_MODE_LINEAR));
    expect("filtered", read_flat(4, 2.5f) == 2 * WIDTH + 3.5f);
    CHECK(cuTexRefSetFlags(flat, CU_TRSF_NORMALIZED_COORDINATES));
    expect("normalized", read_flat(0.5f, 0.5f) == (COUNT - 1) / 2.0f);
    CHECK(cuTexRefSetArray(flat, second, CU_TRSA_OVERRIDE_FORMAT));
    expect("another array", read_flat(0.5f, 0.5f) == 1000 + (COUNT - 1) / 2.0f);
    CHECK(cuTexRefGetFormat(&format, &channels, flat));
    CHECK(cuTexRefGetFilterMode(&filter, flat));
    CHECK(cuTexRefGetAddressMode(&mode, flat, 1));
    CHECK(cuTexRefGetFlags(&flags, flat));
    expect("what was set is told", format == CU_AD_FORMAT_FLOAT && channels == 1 &&
                                       filter == CU_TR_FILTER_MODE_LINEAR &&
                                       mode == CU_TR_ADDRESS_MODE_CLAMP &&
                                       flags == CU_TRSF_NORMALIZED_COORDINATES);
    CHECK(cuArrayDestroy(first));
    CHECK(cuArrayDestroy(second));
}

static void line_texture()
{
    CUtexref line;
    CUdeviceptr memory, address = 0;
    CUarray none;
    unsigned bytes[256];
    size_t offset = 77, pitch = 0;

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = 5 * i;
    CHECK(cuMemAlloc(&memory, sizeof(bytes)));
    CHECK(cuMemcpyHtoD(memory, bytes, sizeof(bytes)));
    CHECK(cuModuleGetTexRef(&line, module, "line"));
    CHECK(cuTexRefSetFormat(line, CU_AD_FORMAT_UNSIGNED_INT32, 1));
    CHECK(cuTexRefSetFlags(line, CU_TRSF_READ_AS_INTEGER));
    CHECK(cuTexRefSetAddress(&offset, line, memory, sizeof(bytes)));
    CHECK(cuTexRefGetAddress(&address, line));
    expect("linear memory", offset == 0 && address == memory && read_line(200) == 1000);
    expect("beyond its end", read_line(256) == 0);
    SHOW(cuTexRefGetArray(&none, line));
    expect("memory of nobody", cuTexRefSetAddress(&offset, line, 0x1000, 64) != CUDA_SUCCESS);

    CUtexref flat;
    CUDA_ARRAY_DESCRIPTOR rows = {16, 4, CU_AD_FORMAT_FLOAT, 1};
    CUdeviceptr pitched;
    float texels[16];
    CHECK(cuModuleGetTexRef(&flat, module, "flat"));
    CHECK(cuMemAllocPitch(&pitched, &pitch, sizeof(texels), 4, 4));
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 16; x++)
            texels[x] = 100.0f * y + x;
        CHECK(cuMemcpyHtoD(pitched + y * pitch, texels, sizeof(texels)));
    }
    CHECK(cuTexRefSetAddress2D(flat, &rows, pitched, pitch));
    CHECK(cuTexRefSetFlags(flat, 0));
    CHECK(cuTexRefSetFilterMode(flat, CU_TR_FILTER_MODE_POINT));
    expect("rows", read_flat(7, 3) == 307);
    CHECK(cuMemFree(memory));
    CHECK(cuMemFree(pitched));
}

static void surface()
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {WIDTH, HEIGHT, 0, CU_AD_FORMAT_UNSIGNED_INT32, 1,
                                          CUDA_ARRAY3D_SURFACE_LDST};
    CUsurfref board;
    CUarray array, bound = nullptr;
    unsigned value = 4711, x = 5, y = 6, row[WIDTH] = {0};
    void *params[] = {&value, &x, &y};
    CUDA_MEMCPY2D copy = {};

    CHECK(cuArray3DCreate(&array, &descriptor));
    CHECK(cuModuleGetSurfRef(&board, module, "board"));
    CHECK(cuSurfRefSetArray(board, array, 0));
    CHECK(cuSurfRefGetArray(&bound, board));
    CHECK(cuLaunchKernel(function("write_board"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
    copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    copy.srcArray = array;
    copy.srcY = y;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = row;
    copy.dstPitch = sizeof(row);
    copy.WidthInBytes = sizeof(row);
    copy.Height = 1;
    CHECK(cuMemcpy2D(&copy));
    expect("a surface", bound == array && row[x] == value);
    CHECK(cuArrayDestroy(array));
}

int main()
{
    CUdevice device;
    CUcontext context;
    CUtexref flat;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuMemAlloc(&result, COUNT * sizeof(float)));
    launches();
    flat_texture();
    line_texture();
    surface();
    CHECK(cuModuleGetTexRef(&flat, module, "flat"));
    CHECK(cuModuleUnload(module));
    expect("references go with their module", cuTexRefSetFlags(flat, 0) != CUDA_SUCCESS);
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
