/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contexts: contexts of the driver API: the stack, what belongs to one of them, what is left when
 * it goes.
 */
#include <cuda.h>

#include "check.h"

static const char text[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".visible .global .align 4 .u32 word = 9;\n"
    ".visible .entry put(.param .u64 out, .param .u32 v) { .reg .b32 %r<3>; .reg .b64 %rd<3>;\n"
    "    ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; ld.param.u32 %r1, [v];\n"
    "    st.global.u32 [%rd2], %r1; ret; }\n";

static CUcontext current()
{
    CUcontext context = nullptr;

    CHECK(cuCtxGetCurrent(&context));
    return context;
}

static void stack(CUdevice device)
{
    CUcontext first, second, popped;
    CUdevice of = -1;

    expect("none at first", current() == nullptr);
    SHOW(cuCtxGetDevice(&of));
    SHOW(cuCtxSynchronize());
    SHOW(cuCtxPopCurrent(&popped));
    CHECK(cuCtxCreate(&first, nullptr, 0, device));
    CHECK(cuCtxCreate(&second, nullptr, CU_CTX_SCHED_BLOCKING_SYNC, device));
    expect("the last one made", current() == second);
    CHECK(cuCtxGetDevice(&of));
    expect("its device", of == device);
    CHECK(cuCtxPushCurrent(first));
    CHECK(cuCtxPushCurrent(first));
    CHECK(cuCtxPopCurrent(&popped));
    expect("pushed twice, popped once", popped == first && current() == first);
    CHECK(cuCtxPopCurrent(&popped));
    expect("the one below", current() == second);
    CHECK(cuCtxSetCurrent(first));
    expect("replaced", current() == first);
    CHECK(cuCtxPopCurrent(&popped));
    expect("the one made first", popped == first && current() == first);
    CHECK(cuCtxDestroy(second));
    CHECK(cuCtxDestroy(first));
    expect("none when the current one goes", current() == nullptr);
}

static void state(CUdevice device)
{
    CUcontext context;
    unsigned version = 0, flags = 0;
    size_t limit = 0;
    int least, greatest;
    CUfunc_cache config;

    CHECK(cuCtxCreate(&context, nullptr, CU_CTX_SCHED_YIELD, device));
    CHECK(cuCtxGetFlags(&flags));
    expect("flags", (flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_YIELD);
    CHECK(cuCtxGetApiVersion(context, &version));
    expect("version", version >= 3020);
    CHECK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    CHECK(cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE));
    expect("limit", limit >= 4096);
    CHECK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
    CHECK(cuCtxGetCacheConfig(&config));
    CHECK(cuCtxGetStreamPriorityRange(&least, &greatest));
    expect("priorities", least == 0 && greatest <= 0);
    CHECK(cuCtxSynchronize());
    CHECK(cuCtxDestroy(context));
}

/* Two contexts with a module each: same names, different variables; all go with their context. */
static void belongings(CUdevice device)
{
    CUdeviceptr words[2], out[2];
    CUcontext contexts[2];
    CUfunction functions[2];
    CUmodule modules[2];
    unsigned value;
    size_t size;

    for (unsigned c = 0; c < 2; c++) {
        CHECK(cuCtxCreate(&contexts[c], nullptr, 0, device));
        CHECK(cuModuleLoadData(&modules[c], text));
        CHECK(cuModuleGetFunction(&functions[c], modules[c], "put"));
        CHECK(cuModuleGetGlobal(&words[c], &size, modules[c], "word"));
        CHECK(cuMemAlloc(&out[c], 4));
        value = 20 + c;
        CHECK(cuMemcpyHtoD(words[c], &value, 4));
    }
    expect("variables of their own", words[0] != words[1]);
    for (unsigned c = 0; c < 2; c++) {
        void *pointers[] = {&out[c], &value};

        CHECK(cuCtxSetCurrent(contexts[c]));
        CHECK(cuMemcpyDtoH(&value, words[c], 4));
        printf("word %u\n", value);
        value = 30 + c;
        CHECK(cuLaunchKernel(functions[c], 1, 1, 1, 1, 1, 1, 0, nullptr, pointers, nullptr));
        value = 0;
        CHECK(cuMemcpyDtoH(&value, out[c], 4));
        printf("put %u\n", value);
    }
    CHECK(cuCtxDestroy(contexts[0]));
    CHECK(cuCtxSetCurrent(contexts[1]));
    CHECK(cuMemcpyDtoH(&value, words[1], 4));
    expect("the other context's are still there", value == 21);
    CHECK(cuCtxDestroy(contexts[1]));
}

static void primary(CUdevice device)
{
    CUcontext first, second;
    unsigned flags = 0;
    int active = -1;

    CHECK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    expect("not active", active == 0);
    CHECK(cuDevicePrimaryCtxSetFlags(device, CU_CTX_SCHED_BLOCKING_SYNC));
    CHECK(cuDevicePrimaryCtxRetain(&first, device));
    CHECK(cuDevicePrimaryCtxRetain(&second, device));
    expect("one for all", first == second);
    CHECK(cuDevicePrimaryCtxRelease(device));
    CHECK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    expect("active", active == 1 && (flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_BLOCKING_SYNC);
    CHECK(cuDevicePrimaryCtxRelease(device));
    CHECK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    expect("not active any more", active == 0);
    SHOW(cuDevicePrimaryCtxRelease(device));
}

int main()
{
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    stack(device);
    state(device);
    belongings(device);
    primary(device);
    return verdict();
}
