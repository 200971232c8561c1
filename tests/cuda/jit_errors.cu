/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit_errors: code that cannot be loaded, the errors it gives and the logs that say why. What a log
 * says is the compiler's business; that there is one, is ours.
 */
#include <cuda.h>

#include "check.h"

#define HEAD ".version 7.0\n.target sm_75\n.address_size 64\n"

static const char good[] = HEAD ".visible .entry nothing() { ret; }\n";

/* Loads with logs; a log's buffer must be written as far as its size says, and no further. */
static CUresult load(const char *image, unsigned *log_size)
{
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    enum { ROOM = 512 };
    char log[ROOM + 1];
    void *values[] = {log, (void *)(uintptr_t)ROOM};
    CUmodule module;
    CUresult result;

    memset(log, 0, sizeof(log));
    log[ROOM] = 'x';
    result = cuModuleLoadDataEx(&module, image, 2, options, values);
    *log_size = (unsigned)(uintptr_t)values[1];
    expect("the log keeps to its buffer",
           log[ROOM] == 'x' && *log_size <= ROOM && strnlen(log, ROOM) <= *log_size);
    if (result == CUDA_SUCCESS)
        CHECK(cuModuleUnload(module));
    else
        expect("the log's size", strnlen(log, ROOM) == 0 || *log_size > 1);
    return result;
}

static void wrong_text()
{
    unsigned size;

    SHOW(load(HEAD ".visible .entry broken() { this is no instruction; }\n", &size));
    expect("it has a log", size > 1);
    SHOW(load(HEAD ".visible .entry broken() { .reg .b32 %r<2>; mov.u32 %r1, %undefined; ret; }\n",
              &size));
    expect("it has a log", size > 1);
    SHOW(load(HEAD ".visible .entry broken() { bra NOWHERE; ret; }\n", &size));
    expect("it has a log", size > 1);
    SHOW(load(HEAD ".visible .entry broken( { ret; }\n", &size));
    expect("it has a log", size > 1);
    expect("no image at all", load("not an image at all", &size) != CUDA_SUCCESS);
    expect("nothing", load("", &size) != CUDA_SUCCESS);
    SHOW(load(good, &size));
}

/* All kinds of options at once. */
static void options()
{
    char info[1024] = "", error[1024] = "";
    float wall = -1;
    CUjit_option names[] = {CU_JIT_INFO_LOG_BUFFER,   CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_ERROR_LOG_BUFFER,  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_LOG_VERBOSE,       CU_JIT_OPTIMIZATION_LEVEL,
                            CU_JIT_MAX_REGISTERS,     CU_JIT_WALL_TIME,
                            CU_JIT_GENERATE_LINE_INFO};
    void *values[] = {info,       (void *)sizeof(info),
                      error,      (void *)sizeof(error),
                      (void *)1,  (void *)3,
                      (void *)32, nullptr,
                      (void *)1};
    CUfunction function;
    CUmodule module;

    CHECK(cuModuleLoadDataEx(&module, good, 9, names, values));
    memcpy(&wall, &values[7], sizeof(wall));
    expect("a time", wall >= 0);
    expect("no errors", error[0] == '\0' && (uintptr_t)values[3] <= 1);
    CHECK(cuModuleGetFunction(&function, module, "nothing"));
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
    CHECK(cuCtxSynchronize());
    CHECK(cuModuleUnload(module));
}

int main()
{
    CUcontext context;
    CUmodule module;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    SHOW(cuModuleLoadData(&module, good));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    wrong_text();
    options();
    SHOW(cuModuleLoadData(&module, nullptr));
    SHOW(cuModuleLoadData(nullptr, good));
    SHOW(cuModuleLoad(&module, "/nonexistent/module.ptx"));
    CHECK(cuDevicePrimaryCtxRelease(device));
    return verdict();
}
