/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_modules: the driver API alone: two modules from PTX text with the same names in both,
 * launches with arrays of pointers and with packed arguments, global variables by name.
 */
#include <cuda.h>

#include "check.h"

/* scale(int *values, int count, int factor, int term): values[i] = values[i] * factor + term;
 * counts its calls. */
#define MODULE(term)                                                                     \
    ".version 7.0\n.target sm_75\n.address_size 64\n"                                    \
    ".visible .global .align 4 .u32 calls = 100;\n"                                      \
    ".visible .const .align 4 .s32 term = " term ";\n"                                   \
    ".visible .entry scale(.param .u64 values, .param .u32 count, .param .u32 factor)\n" \
    "{\n"                                                                                \
    "    .reg .pred %p<2>; .reg .b32 %r<12>; .reg .b64 %rd<6>;\n"                        \
    "    ld.param.u64 %rd1, [values];\n"                                                 \
    "    ld.param.u32 %r1, [count];\n"                                                   \
    "    ld.param.u32 %r2, [factor];\n"                                                  \
    "    mov.u32 %r3, %ctaid.x;\n"                                                       \
    "    mov.u32 %r4, %ntid.x;\n"                                                        \
    "    mov.u32 %r5, %tid.x;\n"                                                         \
    "    mad.lo.s32 %r6, %r3, %r4, %r5;\n"                                               \
    "    setp.ge.s32 %p1, %r6, %r1;\n"                                                   \
    "    @%p1 bra DONE;\n"                                                               \
    "    cvta.to.global.u64 %rd2, %rd1;\n"                                               \
    "    mul.wide.s32 %rd3, %r6, 4;\n"                                                   \
    "    add.s64 %rd4, %rd2, %rd3;\n"                                                    \
    "    ld.global.u32 %r7, [%rd4];\n"                                                   \
    "    ld.const.s32 %r8, [term];\n"                                                    \
    "    mad.lo.s32 %r9, %r7, %r2, %r8;\n"                                               \
    "    st.global.u32 [%rd4], %r9;\n"                                                   \
    "    setp.ne.s32 %p1, %r6, 0;\n"                                                     \
    "    @%p1 bra DONE;\n"                                                               \
    "    atom.global.add.u32 %r10, [calls], 1;\n"                                        \
    "DONE:\n"                                                                            \
    "    ret;\n"                                                                         \
    "}\n"

enum { COUNT = 1000 };

static int host[COUNT];

static void launch(CUfunction function, CUdeviceptr values, int count, int factor)
{
    void *pointers[] = {&values, &count, &factor};

    CHECK(
        cuLaunchKernel(function, (COUNT + 63) / 64, 1, 1, 64, 1, 1, 0, nullptr, pointers, nullptr));
}

static void launch_packed(CUfunction function, CUdeviceptr values, int count, int factor)
{
    struct {
        CUdeviceptr values;
        int count, factor;
    } packed = {values, count, factor};
    size_t size = sizeof(packed);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};

    CHECK(cuLaunchKernel(function, (COUNT + 63) / 64, 1, 1, 64, 1, 1, 0, nullptr, nullptr, extra));
}

static void compute(CUmodule *modules, CUdeviceptr values)
{
    bool ok = true;

    for (int m = 0; m < 2; m++) {
        CUfunction function;

        CHECK(cuModuleGetFunction(&function, modules[m], "scale"));
        launch(function, values, COUNT, 3);
        launch_packed(function, values, COUNT / 2, 2);
    }
    CHECK(cuMemcpyDtoH(host, values, sizeof(host)));
    for (int i = 0; i < COUNT; i++) {
        int value = i * 3 + 7;

        value = i < COUNT / 2 ? value * 2 + 7 : value;
        value = value * 3 - 11;
        value = i < COUNT / 2 ? value * 2 - 11 : value;
        ok = ok && host[i] == value;
    }
    expect("four launches", ok);
    print_checksum("values", host, sizeof(host));
}

static void globals(CUmodule *modules)
{
    for (int m = 0; m < 2; m++) {
        CUdeviceptr calls;
        unsigned count = 0;
        size_t size = 0;

        CHECK(cuModuleGetGlobal(&calls, &size, modules[m], "calls"));
        CHECK(cuMemcpyDtoH(&count, calls, sizeof(count)));
        printf("module %d: %zu bytes, %u\n", m, size, count);
        count = 5;
        CHECK(cuMemcpyHtoD(calls, &count, sizeof(count)));
        CHECK(cuModuleGetGlobal(nullptr, &size, modules[m], "term"));
        expect("size only", size == 4);
    }
}

static void missing(CUmodule module)
{
    CUfunction function;
    CUdeviceptr address;

    SHOW(cuModuleGetFunction(&function, module, "scales"));
    SHOW(cuModuleGetGlobal(&address, nullptr, module, "call"));
    SHOW(cuModuleGetFunction(&function, module, nullptr));
}

int main()
{
    CUmodule modules[2];
    CUdeviceptr values;
    CUcontext context;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&modules[0], MODULE("7")));
    CHECK(cuModuleLoadDataEx(&modules[1], MODULE("-11"), 0, nullptr, nullptr));
    for (int i = 0; i < COUNT; i++)
        host[i] = i;
    CHECK(cuMemAlloc(&values, sizeof(host)));
    CHECK(cuMemcpyHtoD(values, host, sizeof(host)));
    compute(modules, values);
    globals(modules);
    missing(modules[0]);
    CHECK(cuMemFree(values));
    CHECK(cuModuleUnload(modules[0]));
    CHECK(cuModuleUnload(modules[1]));
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
