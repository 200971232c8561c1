/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordinary CUDA program, which knows nothing of the way its calls take: `cuda_calls compute`
 * runs kernels and prints what they computed, `cuda_calls query COUNT` makes that many calls of the
 * driver API that the driver has to be asked, and checks each answer; `cuda_calls memory COUNT` the
 * same with allocations, small copies and events, `cuda_calls bulk COUNT` with copies of some
 * pages, `cuda_calls launch COUNT` with launches of a small kernel, `cuda_calls objects COUNT` with
 * streams and events with times that are made and ended; `cuda_calls left COUNT` makes calls that
 * only the worker can, with pauses between them; `cuda_calls loop` asks until somebody ends it, or
 * its session ends. `cuda_calls vmcall COUNT` makes hypercalls, for comparison. Around the loop it
 * says "start" and "done NAME TICKS", and waits for a line each time; ticks of the emulated clock
 * are instructions.
 */
#include "cuda_program.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define N 1000

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry madd(.param .u64 a, .param .u64 b, .param .u32 n)\n"
                          "{\n"
                          "  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<8>; .reg .f32 %f<4>;\n"
                          "  ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b];\n"
                          "  ld.param.u32 %r1, [n];\n"
                          "  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;\n"
                          "  mad.lo.s32 %r5, %r2, %r3, %r4;\n"
                          "  setp.ge.s32 %p, %r5, %r1;\n"
                          "  @%p ret;\n"
                          "  mul.wide.s32 %d3, %r5, 4;\n"
                          "  add.s64 %d1, %d1, %d3; add.s64 %d2, %d2, %d3;\n"
                          "  ld.global.f32 %f1, [%d1]; ld.global.f32 %f2, [%d2];\n"
                          "  fma.rn.f32 %f3, %f1, %f2, %f1;\n"
                          "  st.global.f32 [%d1], %f3;\n"
                          "  ret;\n"
                          "}\n"
                          ".visible .entry add(.param .u64 a, .param .u32 n, .param .u32 k)\n"
                          "{\n"
                          "  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<4>;\n"
                          "  ld.param.u64 %d1, [a]; ld.param.u32 %r1, [n]; ld.param.u32 %r6, [k];\n"
                          "  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;\n"
                          "  mad.lo.s32 %r5, %r2, %r3, %r4;\n"
                          "  setp.ge.s32 %p, %r5, %r1;\n"
                          "  @%p ret;\n"
                          "  mul.wide.s32 %d3, %r5, 4; add.s64 %d1, %d1, %d3;\n"
                          "  ld.global.u32 %r7, [%d1]; add.s32 %r7, %r7, %r6;\n"
                          "  st.global.u32 [%d1], %r7;\n"
                          "  ret;\n"
                          "}\n";

static uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}

static void finish(const char *name, uint64_t since)
{
    char line[80];
    (void)snprintf(line, sizeof(line), "done %s %llu", name, (unsigned long long)(ticks() - since));
    say(line);
}

/* ---- kernels ---- */

static void compute(void)
{
    static float a[N], b[N];
    CUdeviceptr da, db;
    CUmodule module;
    CUfunction function;
    uint32_t n = N, sum = 0, bits;
    for (uint32_t i = 0; i < N; i++) {
        a[i] = (float)i / 7;
        b[i] = (float)(N - i) / 3;
    }
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&function, module, "madd"));
    CHECK(cuMemAlloc_v2(&da, sizeof(a)));
    CHECK(cuMemAlloc_v2(&db, sizeof(b)));
    CHECK(cuMemcpyHtoD_v2(da, a, sizeof(a)));
    CHECK(cuMemcpyHtoD_v2(db, b, sizeof(b)));
    void *params[] = {&da, &db, &n};
    for (int i = 0; i < 5; i++)
        CHECK(cuLaunchKernel(function, (N + 63) / 64, 1, 1, 64, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH_v2(a, da, sizeof(a)));
    for (int i = 0; i < N; i++) {
        memcpy(&bits, &a[i], sizeof(bits));
        sum = sum * 31 + bits;
    }
    CHECK(cuMemFree_v2(da));
    CHECK(cuMemFree_v2(db));
    CHECK(cuModuleUnload(module));
    printf("computed %08x, last %a\n", sum, (double)a[N - 1]);
}

/* ---- questions ---- */

static void query(unsigned long count)
{
    CUstream stream;
    CUevent event;
    size_t unused, total, first_unused, first_total, limit;
    unsigned flags;
    int priority;
    unsigned long long id, first_id;
    CHECK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -1));
    CHECK(cuEventCreate(&event, CU_EVENT_DEFAULT));
    CHECK(cuEventRecord(event, stream));
    CHECK(cuEventSynchronize(event));
    CHECK(cuMemGetInfo_v2(&first_unused, &first_total));
    CHECK(cuStreamGetId(stream, &first_id));
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i += 8) {
        CHECK(cuMemGetInfo_v2(&unused, &total));
        expect(unused == first_unused && total == first_total, "memory", i);
        CHECK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024 + i % 4096));
        CHECK(cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE));
        expect(limit == 1024 + i % 4096, "limit", i); /* program order */
        CHECK(cuStreamQuery(stream));
        CHECK(cuStreamGetPriority(stream, &priority));
        expect(priority == -1, "priority", i);
        CHECK(cuStreamGetFlags(stream, &flags));
        expect(flags == CU_STREAM_NON_BLOCKING, "flags", i);
        CHECK(cuStreamGetId(stream, &id));
        expect(id == first_id, "id", i);
        CHECK(cuEventQuery(event));
    }
    finish("query", since);
    CHECK(cuStreamDestroy_v2(stream));
    CHECK(cuEventDestroy_v2(event));
}

/* ---- memory ---- */

static void memory(unsigned long count)
{
    CUdeviceptr a, b, other;
    CUevent event;
    uint32_t words[4], read[8];
    CHECK(cuMemAlloc_v2(&a, 4096));
    CHECK(cuMemAlloc_v2(&b, 4096));
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuCtxSynchronize());
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i += 8) {
        for (uint32_t k = 0; k < 4; k++)
            words[k] = (uint32_t)i + k;
        CHECK(cuMemAlloc_v2(&other, 1 + i % 5000));
        expect(other != a && other != b, "an address", i);
        CHECK(cuMemsetD32Async(b, (uint32_t)i, 8, NULL));
        CHECK(cuMemcpyHtoD_v2(a, words, sizeof(words)));
        CHECK(cuMemcpyDtoDAsync_v2(b + 4, a, sizeof(words), NULL));
        CHECK(cuEventRecord(event, NULL));
        CHECK(cuEventSynchronize(event));
        CHECK(cuMemcpyDtoH_v2(read, b, sizeof(read)));
        for (uint32_t k = 0; k < 8; k++)
            expect(read[k] == (k >= 1 && k <= 4 ? words[k - 1] : (uint32_t)i), "a copy", i);
        CHECK(cuMemFree_v2(other));
    }
    finish("memory", since);
    CHECK(cuEventDestroy_v2(event));
    CHECK(cuMemFree_v2(a));
    CHECK(cuMemFree_v2(b));
}

/* ---- more bytes than a message has room for ---- */

static void bulk(unsigned long count)
{
    enum { WORDS = 5000 };
    static uint32_t words[WORDS], read[WORDS];
    CUdeviceptr a;
    CHECK(cuMemAlloc_v2(&a, sizeof(words)));
    CHECK(cuCtxSynchronize());
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i += 4) {
        for (uint32_t w = 0; w < WORDS; w++)
            words[w] = (uint32_t)i * WORDS + w;
        CHECK(cuMemcpyHtoD_v2(a, words, sizeof(words)));
        CHECK(cuMemsetD32Async(a + 400, (uint32_t)i, 100, NULL));
        CHECK(cuMemcpyDtoH_v2(read, a, sizeof(read)));
        for (uint32_t w = 0; w < WORDS; w++)
            expect(read[w] == (w >= 100 && w < 200 ? (uint32_t)i : words[w]), "a copy", i);
        CHECK(cuMemcpyDtoH_v2(read, a + 400, 2000));
        expect(read[0] == (uint32_t)i && read[499] == words[599], "a part", i);
    }
    finish("bulk", since);
    CHECK(cuMemFree_v2(a));
}

/* ---- steps of a program that trains: launches, and a look at what came of them ---- */

static void launch(unsigned long count)
{
    enum { WORDS = 200 };
    static uint32_t words[WORDS];
    CUdeviceptr a;
    CUmodule module;
    CUfunction function;
    uint32_t n = WORDS, k = 1, sum = 0;
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&function, module, "add"));
    CHECK(cuMemAlloc_v2(&a, sizeof(words)));
    CHECK(cuMemsetD32_v2(a, 0, WORDS));
    void *params[] = {&a, &n, &k};
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH_v2(words, a, sizeof(words)));
    CHECK(cuMemsetD32_v2(a, 0, WORDS));
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i += 4) {
        for (k = 1; k <= 3; k++)
            CHECK(cuLaunchKernel(function, 4, 1, 1, 64, 1, 1, 0, NULL, params, NULL));
        sum += 6;
        CHECK(cuMemcpyDtoH_v2(words, a, sizeof(words)));
        for (int w = 0; w < WORDS; w++)
            expect(words[w] == sum, "a sum", i);
    }
    finish("launch", since);
    CHECK(cuMemFree_v2(a));
    CHECK(cuModuleUnload(module));
}

/* So many modules that the last ones' functions are not in the view. */
static void modules(void)
{
    enum { MODULES = 64 };
    CUdeviceptr a;
    CUmodule all[MODULES];
    CUfunction function;
    uint32_t n = 1, k, sum = 0, word = 0;
    CHECK(cuMemAlloc_v2(&a, sizeof(word)));
    CHECK(cuMemsetD32_v2(a, 0, 1));
    void *params[] = {&a, &n, &k};
    for (int i = 0; i < MODULES; i++) {
        CHECK(cuModuleLoadData(&all[i], ptx));
        CHECK(cuModuleGetFunction(&function, all[i], "add"));
        for (k = 1; k <= 3; k++, sum += k - 1) {
            CHECK(cuCtxSynchronize()); /* the session is quiet again */
            CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
        }
        CHECK(cuMemcpyDtoH_v2(&word, a, sizeof(word)));
        expect(word == sum, "a sum", (unsigned long)i);
    }
    for (int i = 0; i < MODULES; i++)
        CHECK(cuModuleUnload(all[i]));
    CHECK(cuMemFree_v2(a));
}

/* ---- objects, which come and go ---- */

/* One step, of eight calls. The event has a time: `first` is one of before. */
static void step(unsigned long i, CUevent first)
{
    CUstream stream;
    CUevent event;
    unsigned flags, wish = i % 16 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
    float ms;
    CHECK(cuEventCreate(&event, CU_EVENT_DEFAULT));
    CHECK(cuStreamCreate(&stream, wish));
    CHECK(cuStreamGetFlags(stream, &flags));
    expect(flags == wish, "flags", i);
    CHECK(cuEventRecord(event, stream));
    CHECK(cuStreamWaitEvent(NULL, event, 0));
    CHECK(cuEventElapsedTime_v2(&ms, first, event));
    expect(ms >= 0, "a time", i);
    CHECK(cuStreamDestroy_v2(stream));
    CHECK(cuEventDestroy_v2(event));
}

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void objects(unsigned long count)
{
    CUevent first;
    CHECK(cuEventCreate(&first, CU_EVENT_DEFAULT));
    CHECK(cuEventRecord(first, NULL));
    CHECK(cuCtxSynchronize());
    /* The view's clock is as good for the next steps as it has been for those before. */
    uint64_t warm = milliseconds() + 200;
    for (unsigned long i = 0; i < count || milliseconds() < warm; i += 4)
        step(i, first);
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i += 8)
        step(i, first);
    finish("objects", since);
    CHECK(cuEventDestroy_v2(first));
}

/* ---- what makes and ends pools, now and then: the worker sleeps meanwhile ---- */

static void left(unsigned long count)
{
    const struct timespec pause = {.tv_nsec = 30000000};
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    CUmemoryPool pool;
    cuuint64_t held;
    uint64_t slept = 0;
    CHECK(cuCtxSynchronize());
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i++) {
        uint64_t now = ticks();
        nanosleep(&pause, NULL);
        slept += ticks() - now;
        CHECK(cuMemPoolCreate(&pool, &props));
        CHECK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &held));
        expect(held == 0, "a pool", i);
        CHECK(cuMemPoolDestroy(pool));
    }
    finish("left", since + slept);
}

/* Right answers, then errors only. */
static void loop(void)
{
    size_t unused, total, first;
    CUresult result;
    CHECK(cuMemGetInfo_v2(&first, &total));
    printf("looping\n");
    fflush(stdout);
    while ((result = cuMemGetInfo_v2(&unused, &total)) == CUDA_SUCCESS)
        expect(unused == first, "memory", 0);
    for (int i = 0; i < 3; i++)
        expect(cuCtxGetLimit(&total, CU_LIMIT_STACK_SIZE) == result, "the error", 0);
    printf("lost %d\n", (int)result);
}

/* A few that depend on each other. */
static void some(void)
{
    CUdeviceptr a;
    uint32_t word = 0;
    CHECK(cuMemAlloc_v2(&a, sizeof(word)));
    for (uint32_t i = 1; i <= 1000; i++) {
        CHECK(cuMemsetD32_v2(a, i, 1));
        CHECK(cuMemcpyDtoH_v2(&word, a, sizeof(word)));
        expect(word == i, "a word", i);
    }
    CHECK(cuMemFree_v2(a));
}

/* A child has a session of its own, a view too, and the parent's page of the gate. */
static void forked(void)
{
    CUdevice device;
    int status = 1;
    some();
    pid_t child = fork();
    if (child == 0) {
        (void)open_device(&device);
        some();
        exit(0);
    }
    some();
    expect(waitpid(child, &status, 0) == child && status == 0, "a child's end", 0);
}

static void vmcall(unsigned long count)
{
    say("start");
    uint64_t since = ticks();
    for (unsigned long i = 0; i < count; i++) {
        uint64_t number = 99;
        __asm__ volatile("vmcall" : "+a"(number) : : "memory");
    }
    finish("vmcall", since);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    CUdevice device;
    if (argc < 2)
        return 2;
    if (strcmp(argv[1], "vmcall") == 0) {
        vmcall(count);
        return 0;
    }
    (void)open_device(&device);
    if (strcmp(argv[1], "compute") == 0)
        compute();
    else if (strcmp(argv[1], "query") == 0)
        query(count);
    else if (strcmp(argv[1], "memory") == 0)
        memory(count);
    else if (strcmp(argv[1], "bulk") == 0)
        bulk(count);
    else if (strcmp(argv[1], "launch") == 0)
        launch(count);
    else if (strcmp(argv[1], "modules") == 0)
        modules();
    else if (strcmp(argv[1], "objects") == 0)
        objects(count);
    else if (strcmp(argv[1], "left") == 0)
        left(count);
    else if (strcmp(argv[1], "fork") == 0)
        forked();
    else if (strcmp(argv[1], "loop") == 0) {
        loop();
        return 0;
    } else {
        size_t unused, total;
        CHECK(cuMemGetInfo_v2(&unused, &total));
    }
    CHECK(cuDevicePrimaryCtxRelease_v2(device));
    return 0;
}
