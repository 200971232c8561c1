/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that come and go: `cuda_sessions COUNT TOGETHER` starts a process for each, at most
 * TOGETHER at once. Each opens the device and calls from two threads, one of which launches, the
 * other makes and ends events; then it ends in one of four ways: it closes what it has, it leaves
 * while its threads call, or it is killed in its calls by SIGKILL, soon or later.
 */
#include "cuda_program.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEW_CALLS 40

enum ending { CLOSES, LEAVES, KILLED_SOON, KILLED_LATER, ENDINGS };

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry count(.param .u64 word)\n"
                          "{\n"
                          "  .reg .b32 %r<2>; .reg .b64 %d<2>;\n"
                          "  ld.param.u64 %d1, [word];\n"
                          "  ld.global.u32 %r1, [%d1];\n"
                          "  add.u32 %r1, %r1, 1;\n"
                          "  st.global.u32 [%d1], %r1;\n"
                          "  ret;\n"
                          "}\n";

static CUcontext context;
static int in_call[2]; /* a byte comes when the calls have begun */

/* Some of the events are for the session's end. */
static void ask(size_t i)
{
    size_t value;
    CUevent event;
    CHECK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024 + i % 4096));
    CHECK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    expect(value == 1024 + i % 4096, "the limit", i);
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventRecord(event, NULL));
    CHECK(cuEventQuery(event));
    if (i % 8)
        CHECK(cuEventDestroy_v2(event));
}

static void *ask_forever(void *unused)
{
    (void)unused;
    CHECK(cuCtxSetCurrent(context));
    for (size_t i = 0;; i++) {
        ask(i);
        if (i == FEW_CALLS && write(in_call[1], "", 1) != 1)
            _exit(1);
    }
    return NULL;
}

static void launch(CUfunction function, CUdeviceptr word, unsigned count)
{
    void *params[] = {&word};
    for (unsigned i = 0; i < count; i++)
        CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
}

static void look(CUdeviceptr word, uint32_t count)
{
    uint32_t counted = 0;
    CHECK(cuMemcpyDtoH_v2(&counted, word, sizeof(counted)));
    expect(counted == count, "the count of launches", count);
}

/* One session. */
static _Noreturn void live(enum ending ending)
{
    pthread_t thread;
    CUdevice device;
    CUmodule module;
    CUfunction function;
    CUdeviceptr word;
    uint32_t zero = 0;
    context = open_device(&device);
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&function, module, "count"));
    CHECK(cuMemAlloc_v2(&word, sizeof(zero)));
    CHECK(cuMemcpyHtoD_v2(word, &zero, sizeof(zero)));
    if (ending == CLOSES) {
        for (size_t i = 0; i < FEW_CALLS; i++)
            ask(i);
        launch(function, word, FEW_CALLS);
        look(word, FEW_CALLS);
        CHECK(cuModuleUnload(module));
        CHECK(cuDevicePrimaryCtxRelease_v2(device));
        exit(0);
    }
    pthread_create(&thread, NULL, ask_forever, NULL);
    for (unsigned i = 0;; i++) {
        launch(function, word, 1);
        look(word, i + 1);
        if (ending == LEAVES && i == FEW_CALLS)
            _exit(0);
    }
}

/* Waits for the child's calls, and kills it in them; `later`: its threads get some way first. */
static void kill_in_call(pid_t child, int from, bool later)
{
    char byte;
    if (read(from, &byte, 1) != 1)
        return; /* it failed, and said so */
    for (int i = 0; later && i < 20; i++)
        (void)sched_yield();
    kill(child, SIGKILL);
}

static bool ended_well(int status, enum ending ending)
{
    if (ending >= KILLED_SOON)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* One after the other, each for its own end. */
static int run_row(unsigned first, unsigned count, unsigned stride)
{
    int failures = 0, status;
    for (unsigned i = first; i < count; i += stride) {
        enum ending ending = i / stride % ENDINGS;
        if (pipe(in_call) != 0)
            return 1;
        pid_t child = fork();
        if (child == 0)
            live(ending);
        close(in_call[1]);
        if (ending >= KILLED_SOON)
            kill_in_call(child, in_call[0], ending == KILLED_LATER);
        waitpid(child, &status, 0);
        close(in_call[0]);
        failures += !ended_well(status, ending);
    }
    return failures;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 2 ? (unsigned)atoi(argv[1]) : 0;
    unsigned together = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    int failures = 0, status;
    if (!count || !together)
        return 2;
    for (unsigned i = 0; i < together; i++)
        if (fork() == 0)
            exit(run_row(i, count, together));
    while (wait(&status) > 0)
        failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("sessions %u failures %d\n", count, failures);
    return failures != 0;
}
