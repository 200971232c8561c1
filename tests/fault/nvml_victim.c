/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of nvml_deaths: does what its stdin says, one word a line, and prints what came of
 * it. init, end: the library's; view: what NVML says of the first device; take: a MiB of device
 * memory by CUDA; wait: ten minutes for an event.
 */
#include "cuda_types.h"
#include "nvml_types.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *nvml, *driver;

#define N(name) ((__typeof__(name) *)dlsym(nvml, #name))
#define C(name) ((__typeof__(name) *)dlsym(driver, #name))

static nvmlDevice_t device;

static void answer(const char *what, nvmlReturn_t result)
{
    printf("%s: %s\n", what, N(nvmlErrorString)(result));
}

static void view(void)
{
    nvmlMemory_t memory = {0};
    nvmlProcessInfo_t processes[16];
    unsigned count = 16;
    nvmlReturn_t result = device ? NVML_SUCCESS : N(nvmlDeviceGetHandleByIndex_v2)(0, &device);
    if (result == NVML_SUCCESS)
        result = N(nvmlDeviceGetMemoryInfo)(device, &memory);
    if (result == NVML_SUCCESS)
        result = N(nvmlDeviceGetComputeRunningProcesses_v3)(device, &count, processes);
    if (result == NVML_SUCCESS)
        printf("view: %llu KiB, %u processes\n", memory.used / 1024, count);
    else
        answer("view", result);
}

static void take(void)
{
    CUcontext context;
    CUdeviceptr memory;
    CUresult result = C(cuInit)(0);
    if (result == CUDA_SUCCESS)
        result = C(cuDevicePrimaryCtxRetain)(&context, 0);
    if (result == CUDA_SUCCESS)
        result = C(cuCtxSetCurrent)(context);
    if (result == CUDA_SUCCESS)
        result = C(cuMemAlloc_v2)(&memory, 1 << 20);
    printf("take: %d\n", (int)result);
}

static void wait_for_event(void)
{
    nvmlEventSet_t set;
    nvmlEventData_t event;
    nvmlReturn_t result = N(nvmlEventSetCreate)(&set);
    if (result == NVML_SUCCESS)
        result = N(nvmlEventSetWait_v2)(set, &event, 600000);
    answer("wait", result);
}

int main(void)
{
    char line[32];
    nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!nvml || !driver)
        return EXIT_FAILURE;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "init\n") == 0)
            answer("init", N(nvmlInit_v2)());
        else if (strcmp(line, "end\n") == 0)
            answer("end", N(nvmlShutdown)());
        else if (strcmp(line, "view\n") == 0)
            view();
        else if (strcmp(line, "take\n") == 0)
            take();
        else if (strcmp(line, "wait\n") == 0)
            wait_for_event();
    }
    return EXIT_SUCCESS;
}
