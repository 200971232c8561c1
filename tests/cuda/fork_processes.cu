/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_processes: a process that has not used CUDA yet forks; children and parent use it, each on
 * its own, at the same time. A child that is killed with work under way harms nobody.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { CHILDREN = 3, COUNT = 2000 };

__global__ void multiply(int *values, int factor, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < count)
        values[i] = i * factor;
}

static bool compute(int factor)
{
    static int host[COUNT];
    bool ok = true;
    int *device;

    CHECK(cudaMalloc(&device, sizeof(host)));
    for (int round = 0; round < 10; round++) {
        multiply<<<(COUNT + 127) / 128, 128>>>(device, factor + round, COUNT);
        CHECK_LAUNCH();
        CHECK(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost));
        for (int i = 0; i < COUNT; i++)
            ok = ok && host[i] == i * (factor + round);
    }
    CHECK(cudaFree(device));
    return ok;
}

/* Says that it is at work, then never ends on its own. */
static void work_until_killed(int report)
{
    int *device;

    CHECK(cudaMalloc(&device, COUNT * sizeof(int)));
    for (;;) {
        multiply<<<(COUNT + 127) / 128, 128>>>(device, 1, COUNT);
        CHECK(cudaDeviceSynchronize());
        if (write(report, "x", 1) != 1)
            _exit(1);
    }
}

int main()
{
    pid_t children[CHILDREN], victim;
    int report[2], status;
    char byte;

    if (pipe(report) != 0)
        return 1;
    for (int c = 0; c < CHILDREN; c++) {
        children[c] = fork();
        if (children[c] == 0)
            exit(compute(10 * (c + 1)) ? 0 : 1);
    }
    victim = fork();
    if (victim == 0)
        work_until_killed(report[1]);
    expect("the parent", compute(7));
    for (int i = 0; i < 3; i++)
        expect("one is at work", read(report[0], &byte, 1) == 1);
    kill(victim, SIGKILL);
    waitpid(victim, &status, 0);
    expect("and is killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int c = 0; c < CHILDREN; c++) {
        waitpid(children[c], &status, 0);
        printf("child %d: ", c);
        expect("computed", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    expect("the parent, still", compute(8));
    return verdict();
}
