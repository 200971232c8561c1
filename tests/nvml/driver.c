/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML over a driver that tells of all devices and processes of a host (fake_driver.c): what a
 * tenant is told of them. Prints what driver.txt in expected/ has.
 */
#include "nvml_types.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1ull << 20)

static void *library;

#define N(name) ((__typeof__(name) *)dlsym(library, #name))

static void say(const char *what, nvmlReturn_t result)
{
    printf("%s: %s\n", what, N(nvmlErrorString)(result));
}

static const char *whose(unsigned pid)
{
    return pid == (unsigned)getpid() ? "this process" : "another process";
}

static void devices(void)
{
    unsigned count = 0, index = 9;
    int version = 0;
    nvmlDevice_t device;
    say("count", N(nvmlDeviceGetCount_v2)(&count));
    for (unsigned i = 0; i < count; i++) {
        char uuid[64] = "";
        N(nvmlDeviceGetHandleByIndex_v2)(i, &device);
        N(nvmlDeviceGetUUID)(device, uuid, sizeof(uuid));
        N(nvmlDeviceGetIndex)(device, &index);
        printf("device %u of %u: %s\n", index, count, uuid);
    }
    say("one that is not shown, by UUID",
        N(nvmlDeviceGetHandleByUUID)("GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1", &device));
    say("by serial", N(nvmlDeviceGetHandleBySerial)("1", &device));
    say("one that is, by serial", N(nvmlDeviceGetHandleBySerial)("0", &device));
    N(nvmlDeviceGetIndex)(device, &index);
    printf("device %u\n", index);
    N(nvmlSystemGetCudaDriverVersion_v2)(&version);
    printf("CUDA %d\n", version);
}

static void use_of(nvmlDevice_t device)
{
    nvmlMemory_t first = {0};
    nvmlMemory_v2_t memory = {.version = sizeof(memory) | 2u << 24};
    nvmlProcessInfo_t infos[8];
    nvmlUtilization_t share = {0};
    nvmlProcessUtilizationSample_t samples[8];
    nvmlProcessUtilizationInfo_v1_t more[8];
    nvmlProcessesUtilizationInfo_t list = {
        .version = sizeof(list) | 1u << 24, .processSamplesCount = 8, .procUtilArray = more};
    unsigned count = 8;
    say("memory", N(nvmlDeviceGetMemoryInfo_v2)(device, &memory));
    printf("%llu MiB: used %llu, free %llu, reserved %llu\n", memory.total / MIB, memory.used / MIB,
           memory.free / MIB, memory.reserved / MIB);
    say("memory, as it was", N(nvmlDeviceGetMemoryInfo)(device, &first));
    printf("%llu MiB: used %llu, free %llu\n", first.total / MIB, first.used / MIB,
           first.free / MIB);
    say("processes", N(nvmlDeviceGetComputeRunningProcesses_v3)(device, &count, infos));
    for (unsigned i = 0; i < count; i++)
        printf("%s uses %llu MiB\n", whose(infos[i].pid), infos[i].usedGpuMemory / MIB);
    count = 8;
    say("graphics", N(nvmlDeviceGetGraphicsRunningProcesses_v3)(device, &count, infos));
    printf("%u\n", count);
    say("MPS", N(nvmlDeviceGetMPSComputeRunningProcesses_v3)(device, &count, infos));
    say("utilization", N(nvmlDeviceGetUtilizationRates)(device, &share));
    printf("%u %% and %u %%\n", share.gpu, share.memory);
    count = 8;
    say("by process", N(nvmlDeviceGetProcessUtilization)(device, samples, &count, 1000));
    for (unsigned i = 0; i < count; i++)
        printf("%s: %u, %u at %llu\n", whose(samples[i].pid), samples[i].smUtil, samples[i].decUtil,
               samples[i].timeStamp);
    say("by process, newer", N(nvmlDeviceGetProcessesUtilizationInfo)(device, &list));
    printf("%u of %s\n", list.processSamplesCount, whose(more[0].pid));
}

static void structures(nvmlDevice_t device)
{
    nvmlTemperature_t temperature = {.version = sizeof(temperature) | 1u << 24};
    struct {
        nvmlGpuFabricInfo_v2_t info;
        unsigned char behind[64];
    } fabric = {.info.version = sizeof(fabric.info) | 2u << 24};
    nvmlGpuFabricInfoV_t newest = {.version = sizeof(newest) | 3u << 24};
    unsigned value = 0;
    bool touched = false;
    say("temperature", N(nvmlDeviceGetTemperature)(device, NVML_TEMPERATURE_GPU, &value));
    printf("%u\n", value);
    say("no such sensor", N(nvmlDeviceGetTemperature)(device, 7, &value));
    say("temperature, newer", N(nvmlDeviceGetTemperatureV)(device, &temperature));
    printf("%d\n", temperature.temperature);
    temperature.version = sizeof(temperature) | 2u << 24;
    say("a version that the driver does not know",
        N(nvmlDeviceGetTemperatureV)(device, &temperature));
    say("an older structure",
        N(nvmlDeviceGetGpuFabricInfoV)(device, (nvmlGpuFabricInfoV_t *)(void *)&fabric.info));
    for (size_t i = 0; i < sizeof(fabric.behind); i++)
        touched |= fabric.behind[i] != 0;
    printf("clique %u, last byte %x, what is behind it is %s\n", fabric.info.cliqueId,
           ((unsigned char *)&fabric.info)[sizeof(fabric.info) - 1],
           touched ? "touched" : "untouched");
    say("a newer one", N(nvmlDeviceGetGpuFabricInfoV)(device, &newest));
}

static void pages(nvmlDevice_t device)
{
    unsigned long long addresses[4] = {0}, times[4] = {0};
    const nvmlPageRetirementCause_t cause = NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR;
    unsigned count = 4;
    say("no pages", N(nvmlDeviceGetRetiredPages)(device, 0, &count, addresses));
    printf("%u\n", count);
    say("how many pages", N(nvmlDeviceGetRetiredPages)(device, cause, &count, NULL));
    printf("%u\n", count);
    count = 4;
    say("pages", N(nvmlDeviceGetRetiredPages)(device, cause, &count, addresses));
    printf("%u: %llx %llx %llx\n", count, addresses[0], addresses[1], addresses[2]);
    count = 1;
    say("pages with times",
        N(nvmlDeviceGetRetiredPages_v2)(device, cause, &count, addresses, times));
    printf("%u\n", count);
    say("again", N(nvmlDeviceGetRetiredPages_v2)(device, cause, &count, addresses, times));
    printf("%u: %llx at %llu, %llx at %llu\n", count, addresses[0], times[0], addresses[1],
           times[1]);
}

static void lists(nvmlDevice_t device)
{
    unsigned clocks[4] = {0}, count = 1;
    nvmlFieldValue_t fields[3] = {
        {.fieldId = 100}, {.fieldId = 101}, {.fieldId = 102, .scopeId = 5}};
    nvmlValueType_t type = 9;
    nvmlSample_t samples[4];
    nvmlGpuTopologyLevel_t level = 0;
    say("clocks", N(nvmlDeviceGetSupportedMemoryClocks)(device, &count, clocks));
    printf("%u, first %u\n", count, clocks[0]);
    count = 4;
    say("clocks", N(nvmlDeviceGetSupportedMemoryClocks)(device, &count, clocks));
    printf("%u: %u %u %u %u\n", count, clocks[0], clocks[1], clocks[2], clocks[3]);
    say("fields", N(nvmlDeviceGetFieldValues)(device, 3, fields));
    for (int i = 0; i < 3; i++)
        printf("%u: %s, %u\n", fields[i].fieldId, N(nvmlErrorString)(fields[i].nvmlReturn),
               fields[i].value.uiVal);
    count = 0;
    say("samples", N(nvmlDeviceGetSamples)(device, 0, 1, &type, &count, NULL));
    printf("up to %u of type %d\n", count, type);
    count = 4;
    say("samples", N(nvmlDeviceGetSamples)(device, 0, 1, &type, &count, samples));
    printf("%u: %u at %llu\n", count, samples[0].sampleValue.uiVal, samples[0].timeStamp);
    nvmlDevice_t other = NULL;
    N(nvmlDeviceGetHandleByIndex_v2)(1, &other);
    say("path", N(nvmlDeviceGetTopologyCommonAncestor)(device, other, &level));
    printf("%d\n", level);
}

int main(void)
{
    nvmlDevice_t device = NULL;
    library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library)
        return EXIT_FAILURE;
    say("init", N(nvmlInit_v2)());
    devices();
    say("handle", N(nvmlDeviceGetHandleByIndex_v2)(0, &device));
    use_of(device);
    structures(device);
    lists(device);
    pages(device);
    say("shutdown", N(nvmlShutdown)());
    return 0;
}
