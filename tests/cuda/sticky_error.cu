/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sticky_error: a kernel that touches what is not there ends with its own error, and so does every
 * call of the process after it. Other processes notice nothing. Runs itself once for each fault.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

__global__ void write_to(int *where)
{
    *where = 1;
}

__global__ void trap()
{
    asm volatile("trap;");
}

static void after(int *valid)
{
    int value, *more;

    SHOW(cudaMalloc(&more, 16));
    SHOW(cudaMemcpy(&value, valid, sizeof(value), cudaMemcpyDeviceToHost));
    SHOW(cudaStreamSynchronize(0));
    SHOW(cudaDeviceSynchronize());
    SHOW(cudaGetLastError());
    SHOW(cudaGetLastError());
    write_to<<<1, 1>>>(valid);
    SHOW(cudaGetLastError());
}

static void same_error_for_all(int *valid)
{
    cudaError_t first = cudaDeviceSynchronize();
    int *more;

    expect("an error", first != cudaSuccess && first != cudaErrorNotSupported);
    expect("stays", cudaMalloc(&more, 16) == first && cudaDeviceSynchronize() == first &&
                        cudaMemset(valid, 0, 4) == first);
}

static int fault(const char *kind)
{
    int *valid, *bad = nullptr;

    CHECK(cudaMalloc(&valid, 16));
    write_to<<<1, 1>>>(valid);
    CHECK(cudaDeviceSynchronize());
    if (strcmp(kind, "wild") == 0)
        bad = (int *)0x700000000000;
    if (strcmp(kind, "misaligned") == 0)
        bad = (int *)((char *)valid + 1);
    if (strcmp(kind, "trap") == 0) {
        trap<<<1, 1>>>();
        same_error_for_all(valid);
        return verdict();
    }
    write_to<<<1, 32>>>(bad);
    SHOW(cudaDeviceSynchronize());
    after(valid);
    return verdict();
}

/* A new process is as good as new: the fault was another's. */
static int healthy()
{
    int *valid, value = 0;

    CHECK(cudaMalloc(&valid, sizeof(*valid)));
    write_to<<<1, 1>>>(valid);
    CHECK(cudaMemcpy(&value, valid, sizeof(value), cudaMemcpyDeviceToHost));
    CHECK(cudaFree(valid));
    expect("a new process works", value == 1);
    return verdict();
}

static int run_self(const char *kind)
{
    pid_t child;
    int status = -1;

    printf("%s\n", kind);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "sticky_error", kind, (char *)nullptr);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"null", "wild", "misaligned", "trap"};

    if (argc > 1)
        return strcmp(argv[1], "healthy") == 0 ? healthy() : fault(argv[1]);
    for (const char *kind : kinds)
        check_failures += run_self(kind) + run_self("healthy");
    return verdict();
}
