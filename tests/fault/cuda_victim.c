/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program to which bad things happen, on CUDA's driver API: several roles (cuda_victim ROLE),
 * started by the fault tests. It says on stdout what it is about to do and what came of it, one
 * line each, and does not know Wormhole.
 */
#include "cuda_types.h"
#include "role.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 1024

#define FUNCTIONS(F)            \
    F(cuInit)                   \
    F(cuDeviceGetCount)         \
    F(cuDevicePrimaryCtxRetain) \
    F(cuCtxSetCurrent)          \
    F(cuCtxSynchronize)         \
    F(cuEventCreate)            \
    F(cuEventRecord)            \
    F(cuEventSynchronize)       \
    F(cuLaunchKernel)           \
    F(cuMemAlloc_v2)            \
    F(cuMemcpyDtoH_v2)          \
    F(cuMemcpyHtoD_v2)          \
    F(cuModuleGetFunction)      \
    F(cuModuleLoadData)         \
    F(cuStreamCreate)           \
    F(cuStreamSynchronize)      \
    F(cuStreamWaitValue32_v2)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} cu;

static const char source[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".visible .entry twice(.param .u64 p)\n"
    "{\n.reg .b64 %rd<3>; .reg .b32 %r<3>;\n"
    "ld.param.u64 %rd1, [p];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\n"
    "add.s64 %rd1, %rd1, %rd2;\nld.global.u32 %r2, [%rd1];\nadd.u32 %r2, %r2, %r2;\n"
    "st.global.u32 [%rd1], %r2;\nret;\n}\n"
    ".visible .entry spin(.param .u64 p)\n"
    "{\n.reg .b64 %rd<2>; .reg .b32 %r<2>; .reg .pred %p<2>;\n"
    "ld.param.u64 %rd1, [p];\n"
    "again:\nld.volatile.global.u32 %r1, [%rd1];\nsetp.ne.u32 %p1, %r1, 77777;\n"
    "@%p1 bra again;\nret;\n}\n"
    ".visible .entry crash(.param .u64 p)\n"
    "{\n.reg .b64 %rd<2>; .reg .b32 %r<2>;\n"
    "mov.u64 %rd1, 0;\nmov.u32 %r1, 1;\nst.global.u32 [%rd1], %r1;\nret;\n}\n";

static CUcontext context;
static CUstream stream;
static CUevent event;
static CUdeviceptr memory;

static void load_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *symbol;
    if (!library) {
        printf("failed dlopen: %s\n", dlerror());
        exit(1);
    }
#define FIND(name)                  \
    symbol = dlsym(library, #name); \
    if (!symbol)                    \
        exit(3);                    \
    memcpy(&cu.name, &symbol, sizeof(symbol));
    FUNCTIONS(FIND)
#undef FIND
}

static void open_device(void)
{
    must(cu.cuInit(0), "cuInit");
    must(cu.cuDevicePrimaryCtxRetain(&context, 0), "cuDevicePrimaryCtxRetain");
    must(cu.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    must(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    must(cu.cuEventCreate(&event, 0), "cuEventCreate");
    must(cu.cuMemAlloc_v2(&memory, WORDS * 4), "cuMemAlloc");
}

static CUfunction find_kernel(const char *name)
{
    CUmodule module;
    CUfunction function;
    must(cu.cuModuleLoadData(&module, source), "cuModuleLoadData");
    must(cu.cuModuleGetFunction(&function, module, name), "cuModuleGetFunction");
    return function;
}

static CUresult launch(CUfunction function, unsigned threads)
{
    void *arguments[] = {&memory};
    return cu.cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, stream, arguments, NULL);
}

/* After the loss, everything fails at once, whatever it is. */
static int call_after_loss(void)
{
    unsigned word = 0;
    CUdeviceptr more;
    CUstream another;
    tell("cuCtxSynchronize", cu.cuCtxSynchronize());
    tell("cuMemAlloc", cu.cuMemAlloc_v2(&more, 64));
    tell("cuMemcpyDtoH", cu.cuMemcpyDtoH_v2(&word, memory, 4));
    tell("cuStreamCreate", cu.cuStreamCreate(&another, 0));
    say("end");
    return 0;
}

static void *block_in_event(void *unused)
{
    (void)unused;
    must(cu.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    tell("blocked event", cu.cuEventSynchronize(event));
    return NULL;
}

static void *block_in_stream(void *unused)
{
    (void)unused;
    must(cu.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    tell("blocked stream", cu.cuStreamSynchronize(stream));
    return NULL;
}

/* Three threads, each blocked in another call behind a value that nobody writes. */
static int role_blocked(void)
{
    void *(*const blocks[])(void *) = {block_in_event, block_in_stream};
    pthread_t threads[2];
    const unsigned zero = 0;
    must(cu.cuMemcpyHtoD_v2(memory, &zero, 4), "cuMemcpyHtoD");
    must(cu.cuStreamWaitValue32_v2(stream, memory, 1, CU_STREAM_WAIT_VALUE_EQ), "wait value");
    must(cu.cuEventRecord(event, stream), "cuEventRecord");
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, blocks[i], NULL))
            return 1;
    say("blocked");
    tell("blocked context", cu.cuCtxSynchronize());
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    return call_after_loss();
}

/* In a kernel that never ends. */
static int role_computing(void)
{
    must(launch(find_kernel("spin"), 1), "launch");
    say("blocked");
    tell("blocked context", cu.cuCtxSynchronize());
    return call_after_loss();
}

static CUresult compute(CUfunction twice)
{
    static unsigned words[WORDS];
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = i;
    CUresult result = cu.cuMemcpyHtoD_v2(memory, words, sizeof(words));
    if (result == CUDA_SUCCESS)
        result = launch(twice, WORDS);
    if (result == CUDA_SUCCESS)
        result = cu.cuStreamSynchronize(stream);
    if (result == CUDA_SUCCESS)
        result = cu.cuMemcpyDtoH_v2(words, memory, sizeof(words));
    for (unsigned i = 0; i < WORDS && result == CUDA_SUCCESS; i++)
        if (words[i] != 2 * i)
            result = CUDA_ERROR_UNKNOWN;
    return result;
}

/* For each line of stdin, a computation whose result is checked. */
static int role_obedient(void)
{
    char line[64];
    CUfunction twice = find_kernel("twice");
    tell("computed", compute(twice));
    while (fgets(line, sizeof(line), stdin))
        tell("computed", compute(twice));
    return 0;
}

/* Work without end. */
static int role_busy(void)
{
    CUfunction twice = find_kernel("twice");
    must(compute(twice), "computing");
    say("busy");
    for (;;)
        if (compute(twice) != CUDA_SUCCESS)
            return 1;
}

/* A kernel writes where nothing is: the context has an error from then on. */
static int role_faulty(void)
{
    CUfunction twice = find_kernel("twice");
    must(compute(twice), "computing");
    must(launch(find_kernel("crash"), 1), "launch");
    tell("cuCtxSynchronize", cu.cuCtxSynchronize());
    tell("launch", launch(twice, 1));
    (void)call_after_loss();
    wait_for_line();
    tell("cuCtxSynchronize", cu.cuCtxSynchronize());
    return 0;
}

static int role_idle(void)
{
    say("idle");
    wait_for_line();
    return call_after_loss();
}

/* Whether there is a device, and nothing else. */
static int role_init(void)
{
    int count = 77;
    tell("cuInit", cu.cuInit(0));
    tell("cuInit", cu.cuInit(0));
    tell("cuDeviceGetCount", cu.cuDeviceGetCount(&count));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct role roles[] = {
        {"blocked", role_blocked, false},   {"computing", role_computing, false},
        {"obedient", role_obedient, false}, {"busy", role_busy, false},
        {"faulty", role_faulty, false},     {"idle", role_idle, false},
        {"init", role_init, true},
    };
    load_driver();
    return role_play(argc, argv, roles, sizeof(roles) / sizeof(roles[0]), open_device);
}
