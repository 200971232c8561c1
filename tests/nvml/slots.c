/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nvidia-smi of driver 580 does beside public functions, over a driver that knows all of a
 * host (fake_driver.c): the slots of the private table, waiting for events, what is near to a
 * device. Prints what slots.txt in expected/ has; where the driver's table is not as it is known to
 * be (FAKE_DRIVER_REORDERED), what reordered.txt has.
 */
#include "nvml_types.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *library;
static void *const *slots;

#define N(name) ((__typeof__(name) *)dlsym(library, #name))

/* A slot's function, by its parameters. */
#define SLOT(slot, ...) ((nvmlReturn_t(*)(__VA_ARGS__))slots[slot])

static void say(const char *what, nvmlReturn_t result)
{
    printf("%s: %s\n", what, N(nvmlErrorString)(result));
}

static const char *whose(unsigned pid)
{
    return pid == (unsigned)getpid() ? "this process" : pid == ~0u ? "nobody" : "another process";
}

static void numbers(nvmlDevice_t device)
{
    unsigned value = 0;
    nvmlViolationTime_t time = {0};
    say("power limit",
        SLOT(WH_NVML_SLOT_ENFORCED_POWER_LIMIT, nvmlDevice_t, unsigned *)(device, &value));
    printf("%u\n", value);
    say("default limit",
        SLOT(WH_NVML_SLOT_POWER_DEFAULT_LIMIT, nvmlDevice_t, unsigned *)(device, &value));
    printf("%u\n", value);
    say("setting it", SLOT(WH_NVML_SLOT_SET_POWER_LIMIT, nvmlDevice_t, unsigned)(device, 1));
    say("thermal violation",
        SLOT(WH_NVML_SLOT_THERMAL_VIOLATION, nvmlDevice_t, nvmlViolationTime_t *)(device, &time));
    printf("policy %llu, %llu\n", time.referenceTime, time.violationTime);
    value = 9;
    say("sparse operation",
        SLOT(WH_NVML_SLOT_SPARSE_OPERATION_MODE, nvmlDevice_t, unsigned *)(device, &value));
    printf("%u\n", value);
    say("of no device",
        SLOT(WH_NVML_SLOT_SPARSE_OPERATION_MODE, nvmlDevice_t, unsigned *)(NULL, &value));
    say("nowhere",
        SLOT(WH_NVML_SLOT_SPARSE_OPERATION_MODE, nvmlDevice_t, unsigned *)(device, NULL));
    say("unknown", SLOT(250, nvmlDevice_t, unsigned *)(device, &value));
}

static void texts(nvmlDevice_t device)
{
    char text[200] = "";
    say("board",
        SLOT(WH_NVML_SLOT_BOARD_PART_NUMBER, nvmlDevice_t, char *, unsigned)(device, text, 80));
    printf("%s\n", text);
    memset(text, 0, sizeof(text));
    say("part",
        SLOT(WH_NVML_SLOT_GPU_PART_NUMBER, nvmlDevice_t, char *, unsigned)(device, text, 80));
    printf("'%s'\n", text);
    say("part, short",
        SLOT(WH_NVML_SLOT_GPU_PART_NUMBER, nvmlDevice_t, char *, unsigned)(device, text, 5));
    printf("'%s'\n", text);
    say("part, long", SLOT(WH_NVML_SLOT_GPU_PART_NUMBER, nvmlDevice_t, char *,
                           unsigned)(device, text, sizeof(text)));
    printf("'%s'\n", text);
    say("part, nowhere",
        SLOT(WH_NVML_SLOT_GPU_PART_NUMBER, nvmlDevice_t, char *, unsigned)(device, NULL, 80));
}

/* As nvidia-smi steps through them: 488 bytes, of which the time and six times a percentage and a
 * process are known. */
static void samples(nvmlDevice_t device)
{
    static const char *const engines[] = {"sm", "memory", "encoder", "decoder", "JPEG", "optical"};
    static unsigned char list[4][488];
    nvmlValueType_t type = 9;
    unsigned count = 4;
    unsigned long long time;
    memset(list, 0xee, sizeof(list));
    say("samples", SLOT(WH_NVML_SLOT_PROCESS_SAMPLES, nvmlDevice_t, unsigned long long,
                        nvmlValueType_t *, unsigned *, void *)(device, 1000, &type, &count, list));
    memcpy(&time, list[0], sizeof(time));
    printf("%u of type %d, the first at %llu\n", count, type, time);
    for (size_t i = 0; i < 6; i++) {
        unsigned percent, pid;
        memcpy(&percent, &list[0][8 + 80 * i], sizeof(percent));
        memcpy(&pid, &list[0][16 + 80 * i], sizeof(pid));
        printf("%s: %u by %s\n", engines[i], percent, whose(pid));
    }
    printf("behind it: %x\n", list[1][0]);
    count = 0;
    say("no room", SLOT(WH_NVML_SLOT_PROCESS_SAMPLES, nvmlDevice_t, unsigned long long,
                        nvmlValueType_t *, unsigned *, void *)(device, 1000, &type, &count, list));
    printf("%u\n", count);
}

static void events(nvmlDevice_t device)
{
    nvmlEventSet_t set = NULL;
    nvmlEventData_t event = {0};
    say("set", N(nvmlEventSetCreate)(&set));
    say("nothing registered", N(nvmlEventSetWait_v2)(set, &event, 12));
    say("register", N(nvmlDeviceRegisterEvents)(device, nvmlEventTypeXidCriticalError, set));
    say("wait", N(nvmlEventSetWait_v2)(set, &event, 12));
    printf("the device is %s, type %llu, data %llu, %u, %u\n",
           event.device == device ? "this one" : "another", event.eventType, event.eventData,
           event.gpuInstanceId, event.computeInstanceId);
    say("free", N(nvmlEventSetFree)(set));
    say("free again", N(nvmlEventSetFree)(set));
}

static void near(nvmlDevice_t device)
{
    unsigned long set[20] = {0};
    unsigned node = 0, rows[6] = {0};
    say("processors", N(nvmlDeviceGetCpuAffinity)(device, 20, set));
    printf("%lx ... %lx\n", set[0], set[19]);
    say("memory", N(nvmlDeviceGetMemoryAffinity)(device, 20, set, NVML_AFFINITY_SCOPE_NODE));
    printf("%lx ... %lx\n", set[0], set[19]);
    say("memory, elsewhere", N(nvmlDeviceGetMemoryAffinity)(device, 20, set, 7));
    say("node", N(nvmlDeviceGetNumaNodeId)(device, &node));
    printf("%u\n", node);
    nvmlReturn_t (*remapped)(nvmlDevice_t, unsigned *) = NULL;
    *(void **)&remapped = dlsym(library, "nvmlDeviceGetRemappedRows_v2");
    say("remapped rows", remapped(device, rows));
    printf("%u ... %u\n", rows[0], rows[5]);
}

int main(void)
{
    static const unsigned char id[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                         0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    nvmlDevice_t device = NULL;
    const void *table = NULL;
    library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library)
        return EXIT_FAILURE;
    say("init", N(nvmlInit_v2)());
    say("handle", N(nvmlDeviceGetHandleByIndex_v2)(0, &device));
    say("table", N(nvmlInternalGetExportTable)(&table, id));
    slots = table;
    numbers(device);
    texts(device);
    samples(device);
    events(device);
    near(device);
    say("shutdown", N(nvmlShutdown)());
    return 0;
}
