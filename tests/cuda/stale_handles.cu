/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stale_handles: handles that are gone, made up, or of another kind are refused with an error.
 * NVIDIA's own library may crash on them: this program is for Wormhole only.
 */
#include <cuda.h>

#include "check.h"

static const char text[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry nothing() { ret; }\n";

static void objects(CUstream stream, CUevent event)
{
    SHOW(cuStreamSynchronize(stream));
    SHOW(cuStreamQuery(stream));
    SHOW(cuStreamDestroy(stream));
    SHOW(cuEventRecord(event, 0));
    SHOW(cuEventQuery(event));
    SHOW(cuEventDestroy(event));
    SHOW(cuStreamWaitEvent(0, event, 0));
    SHOW(cuMemsetD8Async(0x1000, 0, 1, stream));
}

static void code(CUmodule module, CUfunction function)
{
    CUfunction other;
    int value;

    SHOW(cuModuleGetFunction(&other, module, "nothing"));
    SHOW(cuModuleUnload(module));
    SHOW(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
    SHOW(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
}

static void gone()
{
    CUfunction function;
    CUstream stream;
    CUmodule module;
    CUevent event;

    CHECK(cuStreamCreate(&stream, 0));
    CHECK(cuEventCreate(&event, 0));
    CHECK(cuModuleLoadData(&module, text));
    CHECK(cuModuleGetFunction(&function, module, "nothing"));
    CHECK(cuStreamDestroy(stream));
    CHECK(cuEventDestroy(event));
    CHECK(cuModuleUnload(module));
    objects(stream, event);
    code(module, function);
}

static void made_up()
{
    void *numbers[] = {(void *)0x12345678, (void *)(uintptr_t)0xdeadbeefdeadbeef};

    for (void *number : numbers) {
        objects((CUstream)number, (CUevent)number);
        code((CUmodule)number, (CUfunction)number);
    }
}

static void of_another_kind()
{
    CUstream stream;
    CUevent event;

    CHECK(cuStreamCreate(&stream, 0));
    CHECK(cuEventCreate(&event, 0));
    objects((CUstream)event, (CUevent)stream);
    code((CUmodule)stream, (CUfunction)event);
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuEventSynchronize(event));
    CHECK(cuStreamDestroy(stream));
    CHECK(cuEventDestroy(event));
}

static void contexts(CUdevice device)
{
    CUcontext context;
    CUdeviceptr memory;

    CHECK(cuCtxCreate(&context, nullptr, 0, device));
    CHECK(cuMemAlloc(&memory, 16));
    CHECK(cuCtxDestroy(context));
    SHOW(cuCtxPushCurrent(context));
    SHOW(cuCtxDestroy(context));
    SHOW(cuMemFree(memory));
    SHOW(cuCtxSetCurrent((CUcontext)0x4321));
}

int main()
{
    CUcontext context;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    gone();
    made_up();
    of_another_kind();
    contexts(device);
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuCtxSynchronize());
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
