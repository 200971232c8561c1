/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linker: a program in two texts, joined by the driver's linker: one calls a function and reads a
 * variable that the other defines. What is missing, and what is there twice, is an error.
 */
#include <cuda.h>

#include "check.h"

#define HEAD ".version 7.0\n.target sm_75\n.address_size 64\n"

static const char caller[] = HEAD ".extern .func (.param .b32 result) twice(.param .b32 value);\n"
                                  ".extern .global .align 4 .u32 offset;\n"
                                  ".visible .entry run(.param .u64 out)\n"
                                  "{ .reg .b32 %r<6>; .reg .b64 %rd<5>;\n"
                                  "    ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
                                  "    mov.u32 %r1, %tid.x;\n"
                                  "    { .param .b32 argument; .param .b32 answer;\n"
                                  "      st.param.b32 [argument], %r1;\n"
                                  "      call.uni (answer), twice, (argument);\n"
                                  "      ld.param.b32 %r2, [answer]; }\n"
                                  "    ld.global.u32 %r3, [offset];\n"
                                  "    add.s32 %r4, %r2, %r3;\n"
                                  "    mul.wide.u32 %rd3, %r1, 4; add.s64 %rd4, %rd2, %rd3;\n"
                                  "    st.global.u32 [%rd4], %r4; ret; }\n";

static const char callee[] = HEAD
    ".visible .global .align 4 .u32 offset = 1000;\n"
    ".visible .func (.param .b32 result) twice(.param .b32 value)\n"
    "{ .reg .b32 %r<3>; ld.param.b32 %r1, [value]; add.s32 %r2, %r1, %r1; st.param.b32 [result], %r2; ret; }\n";

static void join()
{
    unsigned results[32];
    CUlinkState state;
    CUfunction function;
    CUdeviceptr out;
    CUmodule module;
    void *pointers[] = {&out}, *image;
    size_t size;
    bool ok = true;

    CHECK(cuLinkCreate(0, nullptr, nullptr, &state));
    CHECK(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)caller, sizeof(caller), "caller", 0,
                        nullptr, nullptr));
    CHECK(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)callee, sizeof(callee), "callee", 0,
                        nullptr, nullptr));
    CHECK(cuLinkComplete(state, &image, &size));
    expect("an image", image && size > 0);
    CHECK(cuModuleLoadData(&module, image));
    CHECK(cuLinkDestroy(state));
    CHECK(cuModuleGetFunction(&function, module, "run"));
    CHECK(cuMemAlloc(&out, sizeof(results)));
    CHECK(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, nullptr, pointers, nullptr));
    CHECK(cuMemcpyDtoH(results, out, sizeof(results)));
    for (unsigned i = 0; i < 32; i++)
        ok = ok && results[i] == 2 * i + 1000;
    expect("results", ok);
    print_checksum("results", results, sizeof(results));
    CHECK(cuMemFree(out));
    CHECK(cuModuleUnload(module));
}

/* Whether the error comes when a text is added or at the end is the linker's choice. */
static void refuse(const char *what, const char *first, const char *second)
{
    char log[1024] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof(log)}, *image;
    CUlinkState state;
    CUresult result;
    size_t size;

    CHECK(cuLinkCreate(2, options, values, &state));
    result = cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)first, strlen(first) + 1, "first", 0,
                           nullptr, nullptr);
    if (result == CUDA_SUCCESS && second)
        result = cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)second, strlen(second) + 1,
                               "second", 0, nullptr, nullptr);
    if (result == CUDA_SUCCESS)
        result = cuLinkComplete(state, &image, &size);
    expect(what, result != CUDA_SUCCESS);
    expect("it has a log", log[0] != '\0');
    CHECK(cuLinkDestroy(state));
}

int main()
{
    CUcontext context;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    join();
    refuse("what nobody defines", caller, nullptr);
    refuse("what two define", callee, callee);
    refuse("no text at all", "nonsense", nullptr);
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
