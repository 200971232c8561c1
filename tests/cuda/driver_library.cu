/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_library: libraries that belong to no context: kernels by name and by enumeration, launched
 * as they are and as functions of a context, their attributes and parameters, global variables.
 */
#include <cuda.h>

#include "check.h"

static const char text[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".visible .global .align 8 .b8 shared_state[24];\n"
    ".visible .entry one(.param .u64 out) { .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
    "    st.global.u32 [%rd2], 1; ret; }\n"
    ".visible .entry many(.param .u8 a, .param .align 8 .b8 b[20], .param .u16 c, .param .u64 out)\n"
    "    .maxntid 96, 1, 1\n"
    "{ .reg .b32 %r<5>; .reg .b64 %rd<3>; .shared .align 4 .b8 s[512];\n"
    "    ld.param.u8 %r1, [a]; ld.param.u32 %r2, [b+16]; ld.param.u16 %r3, [c];\n"
    "    ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
    "    st.shared.u32 [s+508], %r2; ld.shared.u32 %r2, [s+508];\n"
    "    add.s32 %r1, %r1, %r2; add.s32 %r1, %r1, %r3; st.global.u32 [%rd2], %r1; ret; }\n";

static void enumerate(CUlibrary library)
{
    unsigned count = 0;
    CUkernel kernels[4];
    bool one = false, many = false;

    CHECK(cuLibraryGetKernelCount(&count, library));
    printf("%u kernels\n", count);
    CHECK(cuLibraryEnumerateKernels(kernels, 4, library));
    for (unsigned i = 0; i < count; i++) {
        const char *name;

        CHECK(cuKernelGetName(&name, kernels[i]));
        one = one || strcmp(name, "one") == 0;
        many = many || strcmp(name, "many") == 0;
    }
    expect("both were named", one && many);
}

static void parameters(CUkernel kernel)
{
    size_t offset, size;

    for (size_t i = 0; i < 4; i++) {
        CHECK(cuKernelGetParamInfo(kernel, i, &offset, &size));
        printf("parameter %zu: offset %zu, size %zu\n", i, offset, size);
    }
    SHOW(cuKernelGetParamInfo(kernel, 4, &offset, &size));
}

static void attributes(CUkernel kernel, CUdevice device)
{
    int value = 0;

    CHECK(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, device));
    printf("threads %d\n", value);
    CHECK(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, kernel, device));
    printf("shared %d\n", value);
    CHECK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 50000, kernel,
                               device));
    CHECK(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kernel,
                               device));
    printf("dynamic shared %d\n", value);
}

static void launches(CUlibrary library, CUkernel one, CUkernel many)
{
    struct {
        char bytes[20];
    } block = {};
    unsigned char a = 200;
    unsigned short c = 40000;
    unsigned value = 12345;
    CUdeviceptr out;
    void *one_pointers[] = {&out}, *many_pointers[] = {&a, &block, &c, &out};
    CUfunction function;
    CUmodule module;

    CHECK(cuMemAlloc(&out, 4));
    CHECK(cuLaunchKernel((CUfunction)one, 1, 1, 1, 1, 1, 1, 0, nullptr, one_pointers, nullptr));
    CHECK(cuMemcpyDtoH(&value, out, 4));
    expect("a kernel as it is", value == 1);
    value = 1000000;
    memcpy(block.bytes + 16, &value, 4);
    CHECK(cuKernelGetFunction(&function, many));
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, many_pointers, nullptr));
    CHECK(cuMemcpyDtoH(&value, out, 4));
    expect("a kernel's function", value == 1000000 + 200 + 40000);
    CHECK(cuLibraryGetModule(&module, library));
    CHECK(cuModuleGetFunction(&function, module, "one"));
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, one_pointers, nullptr));
    CHECK(cuMemcpyDtoH(&value, out, 4));
    expect("the module's function", value == 1);
    expect("too many threads are refused",
           cuLaunchKernel((CUfunction)many, 1, 1, 1, 97, 1, 1, 0, nullptr, many_pointers,
                          nullptr) != CUDA_SUCCESS);
    CHECK(cuMemFree(out));
}

/* A context has one function of a kernel, however one comes by it: what is set of it here holds
 * there. */
static void one_function(CUlibrary library, CUkernel one)
{
    CUfunction of_kernel, of_module;
    CUmodule module, again;
    CUdeviceptr out;
    int value = 0;
    const char *name;
    void *pointers[] = {&out};

    CHECK(cuKernelGetFunction(&of_kernel, one));
    CHECK(cuLibraryGetModule(&module, library));
    CHECK(cuModuleGetFunction(&of_module, module, "one"));
    expect("one function", of_kernel == of_module);
    for (int bytes = 60000; bytes >= 50000; bytes -= 10000) {
        CHECK(cuFuncSetAttribute(of_module, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                 bytes));
        CHECK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                 of_kernel));
        printf("set to %d: %d\n", bytes, value);
    }
    CHECK(cuMemAlloc(&out, 4));
    SHOW(cuLaunchKernel(of_kernel, 1, 1, 1, 1, 1, 1, 50000, nullptr, pointers, nullptr));
    SHOW(cuLaunchKernel(of_module, 1, 1, 1, 1, 1, 1, 60000, nullptr, pointers, nullptr));
    CHECK(cuMemFree(out));
    CHECK(cuFuncGetModule(&again, of_module));
    expect("of that module", again == module);
    CHECK(cuFuncGetName(&name, of_module));
    printf("named %s\n", name);
    SHOW(cuModuleGetFunction(&of_module, module, "none"));
}

int main()
{
    CUkernel one, many, none;
    CUdeviceptr address;
    CUlibrary library;
    CUcontext context;
    CUdevice device;
    size_t size = 0;

    CHECK(cuInit(0));
    CHECK(cuLibraryLoadData(&library, text, nullptr, nullptr, 0, nullptr, nullptr, 0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuLibraryGetKernel(&one, library, "one"));
    CHECK(cuLibraryGetKernel(&many, library, "many"));
    SHOW(cuLibraryGetKernel(&none, library, "none"));
    enumerate(library);
    parameters(many);
    attributes(many, device);
    launches(library, one, many);
    one_function(library, one);
    CHECK(cuLibraryGetGlobal(&address, &size, library, "shared_state"));
    printf("global: %zu bytes\n", size);
    SHOW(cuLibraryGetGlobal(&address, &size, library, "no_state"));
    SHOW(cuLibraryGetManaged(&address, &size, library, "shared_state"));
    CHECK(cuLibraryUnload(library));
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
