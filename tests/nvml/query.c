/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nvidia-smi and NVML's language bindings do, on the software device: the library is opened by
 * its name and functions are looked up; devices are listed and asked for everything; memory and
 * processes are compared with what CUDA sessions of this program and of a child use. Prints what
 * query.txt in expected/ has. `query hold` is the child.
 */
#include "cuda_types.h"
#include "nvml_types.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB        (1u << 20)
#define PATIENCE_S 20

#define CUDA_FUNCTIONS(F)           \
    F(cuInit)                       \
    F(cuDeviceGetCount)             \
    F(cuDeviceGetName)              \
    F(cuDeviceGetUuid_v2)           \
    F(cuDeviceGetPCIBusId)          \
    F(cuDeviceTotalMem_v2)          \
    F(cuDevicePrimaryCtxRetain)     \
    F(cuDevicePrimaryCtxRelease_v2) \
    F(cuCtxSetCurrent)              \
    F(cuCtxSynchronize)             \
    F(cuModuleLoadData)             \
    F(cuModuleGetFunction)          \
    F(cuLaunchKernel)               \
    F(cuMemAlloc_v2)                \
    F(cuMemFree_v2)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    CUDA_FUNCTIONS(MEMBER)
#undef MEMBER
} cuda;

static void *nvml, *driver;

static void stop(const char *what)
{
    fflush(stdout);
    fprintf(stderr, "query: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *find(void *library, const char *name)
{
    void *function = dlsym(library, name);
    if (!function)
        stop(name);
    return function;
}

/* A function of NVML by its name, with its type. */
#define N(name) ((__typeof__(name) *)find(nvml, #name))

static void open_libraries(void)
{
    nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!nvml || !driver)
        stop(dlerror());
#define FIND(name) *(void **)&cuda.name = find(driver, #name);
    CUDA_FUNCTIONS(FIND)
#undef FIND
}

static const char *text_of(nvmlReturn_t result)
{
    return N(nvmlErrorString)(result);
}

static void say(const char *what, nvmlReturn_t result)
{
    printf("%s: %s\n", what, text_of(result));
}

/* Goes on only if it worked. */
static void must(const char *what, nvmlReturn_t result)
{
    if (result == NVML_SUCCESS)
        return;
    say(what, result);
    stop(what);
}

static nvmlDevice_t device_at(unsigned index)
{
    nvmlDevice_t device = NULL;
    must("handle", N(nvmlDeviceGetHandleByIndex_v2)(index, &device));
    return device;
}

/* ---- initialisation ---- */

static void initialise(void)
{
    unsigned count = 0;
    nvmlDevice_t device;
    printf("-- before initialisation\n");
    say("count", N(nvmlDeviceGetCount_v2)(&count));
    say("handle", N(nvmlDeviceGetHandleByIndex_v2)(0, &device));
    say("a setter", N(nvmlDeviceSetPersistenceMode)(NULL, NVML_FEATURE_ENABLED));
    say("what is not supported", N(nvmlSystemGetHicVersion)(&count, NULL));
    say("shutdown", N(nvmlShutdown)());
    say("init", N(nvmlInit_v2)());
    say("init again, by its old name", N(nvmlInit)());
    say("init with flags", N(nvmlInitWithFlags)(0));
    say("shutdown", N(nvmlShutdown)());
    say("shutdown", N(nvmlShutdown)());
    say("count", N(nvmlDeviceGetCount)(&count));
    printf("%u devices\n", count);
}

static void versions(void)
{
    char text[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
    int version = 0;
    printf("-- versions\n");
    must("driver", N(nvmlSystemGetDriverVersion)(text, sizeof(text)));
    printf("the driver has a version: %s\n", *text ? "yes" : "no");
    must("nvml", N(nvmlSystemGetNVMLVersion)(text, sizeof(text)));
    printf("the library is of version %.3s\n", text);
    must("cuda", N(nvmlSystemGetCudaDriverVersion_v2)(&version));
    printf("CUDA %d.%d\n", version / 1000, version % 1000 / 10);
    say("into too little room", N(nvmlSystemGetDriverVersion)(text, 2));
}

/* ---- who the devices are ---- */

static void print_uuid(const CUuuid *uuid, char *text, size_t size)
{
    int n = snprintf(text, size, "GPU-");
    for (int i = 0; i < 16; i++)
        n += snprintf(text + n, size - (size_t)n, "%s%02x",
                      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                      (unsigned char)uuid->bytes[i]);
}

static void expect_same(const char *what, const char *one, const char *other)
{
    if (strcmp(one, other) != 0)
        printf("%s differs: NVML has %s, CUDA has %s\n", what, one, other);
}

/* Each is found again by all its names, and CUDA has it at the same place. */
static void identify(unsigned index)
{
    nvmlDevice_t device = device_at(index), again;
    char name[96], uuid[96], other[96];
    nvmlPciInfo_t pci;
    unsigned number = 99, minor = 99;
    CUuuid bytes;
    must("name", N(nvmlDeviceGetName)(device, name, sizeof(name)));
    must("uuid", N(nvmlDeviceGetUUID)(device, uuid, sizeof(uuid)));
    must("pci", N(nvmlDeviceGetPciInfo_v3)(device, &pci));
    must("index", N(nvmlDeviceGetIndex)(device, &number));
    must("minor", N(nvmlDeviceGetMinorNumber)(device, &minor));
    printf("GPU %u: %s (UUID: %s) %s %s minor %u\n", number, name, uuid, pci.busId, pci.busIdLegacy,
           minor);
    cuda.cuDeviceGetName(other, sizeof(other), (int)index);
    expect_same("the name", name, other);
    cuda.cuDeviceGetUuid_v2(&bytes, (int)index);
    print_uuid(&bytes, other, sizeof(other));
    expect_same("the UUID", uuid, other);
    cuda.cuDeviceGetPCIBusId(other, sizeof(other), (int)index);
    expect_same("the PCI bus id", pci.busIdLegacy, other);
    must("by UUID", N(nvmlDeviceGetHandleByUUID)(uuid, &again));
    if (again != device)
        printf("the UUID leads to another device\n");
    must("by bus id", N(nvmlDeviceGetHandleByPciBusId_v2)(pci.busId, &again));
    if (again != device)
        printf("the PCI bus id leads to another device\n");
    nvmlUUID_t typed = {.version = sizeof(typed) | 1u << 24, .type = NVML_UUID_TYPE_BINARY};
    memcpy(typed.value.bytes, bytes.bytes, sizeof(bytes.bytes));
    must("by binary UUID", N(nvmlDeviceGetHandleByUUIDV)(&typed, &again));
    if (again != device)
        printf("the binary UUID leads to another device\n");
}

static void identities(void)
{
    unsigned count = 0;
    int in_cuda = 0;
    nvmlDevice_t device;
    printf("-- identities\n");
    must("count", N(nvmlDeviceGetCount_v2)(&count));
    cuda.cuDeviceGetCount(&in_cuda);
    if ((int)count != in_cuda)
        printf("NVML has %u devices, CUDA %d\n", count, in_cuda);
    for (unsigned i = 0; i < count; i++)
        identify(i);
    say("one beyond the last", N(nvmlDeviceGetHandleByIndex_v2)(count, &device));
    say("nobody's UUID",
        N(nvmlDeviceGetHandleByUUID)("GPU-00000000-0000-0000-0000-000000000000", &device));
    say("nobody's bus id", N(nvmlDeviceGetHandleByPciBusId_v2)("00000000:7f:00.0", &device));
    say("nobody's handle", N(nvmlDeviceGetIndex)((nvmlDevice_t)(uintptr_t)0x1230, &count));
    say("no handle", N(nvmlDeviceGetIndex)(NULL, &count));
    say("no place for the answer", N(nvmlDeviceGetIndex)(device_at(0), NULL));
}

/* The older structures are shorter: what lies behind them stays. */
static void older_structures(void)
{
    nvmlPciInfo_t pci;
    printf("-- older structures\n");
    memset(&pci, 0x5a, sizeof(pci));
    must("pci", N(nvmlDeviceGetPciInfo_v2)(device_at(0), &pci));
    printf("%s, behind it %s\n", pci.busIdLegacy, pci.busId[0] == 0x5a ? "untouched" : "touched");
    memset(&pci, 0x5a, sizeof(pci));
    must("pci", N(nvmlDeviceGetPciInfo)(device_at(0), &pci));
    printf("%s, behind it %s\n", pci.busIdLegacy,
           pci.pciSubSystemId == 0x5a5a5a5a ? "untouched" : "touched");
}

/* ---- everything that is asked for with a device and places for numbers ---- */

typedef nvmlReturn_t (*question)(nvmlDevice_t, void *, void *, void *, void *);

/* Answers by name: those that hardware alone has are not supported. */
static void ask_everything(void)
{
    static const char *const names[] = {"nvmlDeviceGetBrand",
                                        "nvmlDeviceGetArchitecture",
                                        "nvmlDeviceGetComputeMode",
                                        "nvmlDeviceGetPersistenceMode",
                                        "nvmlDeviceGetDisplayMode",
                                        "nvmlDeviceGetDisplayActive",
                                        "nvmlDeviceGetCudaComputeCapability",
                                        "nvmlDeviceGetNumGpuCores",
                                        "nvmlDeviceGetMemoryBusWidth",
                                        "nvmlDeviceGetVirtualizationMode",
                                        "nvmlDeviceGetMultiGpuBoard",
                                        "nvmlDeviceIsMigDeviceHandle",
                                        "nvmlDeviceGetBusType",
                                        "nvmlDeviceGetUtilizationRates",
                                        "nvmlDeviceGetMigMode",
                                        "nvmlDeviceGetPerformanceState",
                                        "nvmlDeviceGetPowerUsage",
                                        "nvmlDeviceGetPowerManagementLimit",
                                        "nvmlDeviceGetEnforcedPowerLimit",
                                        "nvmlDeviceGetFanSpeed",
                                        "nvmlDeviceGetEccMode",
                                        "nvmlDeviceGetCurrPcieLinkGeneration",
                                        "nvmlDeviceGetCurrPcieLinkWidth",
                                        "nvmlDeviceGetMaxPcieLinkGeneration",
                                        "nvmlDeviceGetEncoderUtilization",
                                        "nvmlDeviceGetDecoderUtilization",
                                        "nvmlDeviceGetCurrentClocksEventReasons",
                                        "nvmlDeviceGetBAR1MemoryInfo",
                                        "nvmlDeviceGetGpuOperationMode",
                                        "nvmlDeviceGetTotalEnergyConsumption",
                                        "nvmlDeviceGetPcieReplayCounter",
                                        "nvmlDeviceGetDriverModel_v2",
                                        "nvmlDeviceGetRetiredPagesPendingStatus",
                                        "nvmlDeviceGetMinMaxFanSpeed",
                                        "nvmlDeviceGetRemappedRows",
                                        "nvmlDeviceGetGspFirmwareMode",
                                        "nvmlDeviceGetHostVgpuMode",
                                        "nvmlDeviceGetSupportedEventTypes",
                                        "nvmlDeviceGetBridgeChipInfo",
                                        "nvmlDeviceGetBoardId",
                                        "nvmlDeviceGetAttributes_v2",
                                        "nvmlDeviceGetFBCStats",
                                        "nvmlDeviceGetEncoderStats"};
    static uint64_t places[4][1024];
    printf("-- everything\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        question ask;
        *(void **)&ask = find(nvml, names[i]);
        say(names[i], ask(device_at(0), places[0], places[1], places[2], places[3]));
    }
}

static void ask_by_kind(void)
{
    nvmlDevice_t device = device_at(0);
    unsigned value = 0, count = 0;
    nvmlTemperature_t temperature = {.version = sizeof(temperature) | 1u << 24};
    nvmlGpuFabricInfoV_t fabric = {.version = 8};
    nvmlFieldValue_t field = {.fieldId = NVML_FI_DEV_POWER_INSTANT};
    printf("-- by kind\n");
    say("temperature", N(nvmlDeviceGetTemperature)(device, NVML_TEMPERATURE_GPU, &value));
    say("temperature, newer", N(nvmlDeviceGetTemperatureV)(device, &temperature));
    say("fabric of no known version", N(nvmlDeviceGetGpuFabricInfoV)(device, &fabric));
    say("clock", N(nvmlDeviceGetClockInfo)(device, NVML_CLOCK_SM, &value));
    say("highest clock", N(nvmlDeviceGetMaxClockInfo)(device, NVML_CLOCK_MEM, &value));
    say("memory clocks", N(nvmlDeviceGetSupportedMemoryClocks)(device, &count, NULL));
    say("ECC errors", N(nvmlDeviceGetTotalEccErrors)(device, NVML_MEMORY_ERROR_TYPE_CORRECTED,
                                                     NVML_VOLATILE_ECC, &(unsigned long long){0}));
    say("fields", N(nvmlDeviceGetFieldValues)(device, 1, &field));
    say("no fields", N(nvmlDeviceGetFieldValues)(device, 0, &field));
    say("a link", N(nvmlDeviceGetNvLinkState)(device, 0, (nvmlEnableState_t *)&value));
    say("units", N(nvmlUnitGetCount)(&value));
    printf("%u units\n", value);
}

static void refused(void)
{
    nvmlDevice_t device = device_at(0);
    printf("-- what is not a tenant's to do\n");
    say("persistence", N(nvmlDeviceSetPersistenceMode)(device, NVML_FEATURE_ENABLED));
    say("compute mode", N(nvmlDeviceSetComputeMode)(device, NVML_COMPUTEMODE_PROHIBITED));
    say("power limit", N(nvmlDeviceSetPowerManagementLimit)(device, 1));
    say("clocks", N(nvmlDeviceSetGpuLockedClocks)(device, 1, 2));
    say("MIG", N(nvmlDeviceSetMigMode)(device, 1, &(nvmlReturn_t){0}));
    say("ECC counts", N(nvmlDeviceClearEccErrorCounts)(device, NVML_VOLATILE_ECC));
}

/* ---- memory and processes ---- */

static nvmlMemory_v2_t memory_of(nvmlDevice_t device)
{
    nvmlMemory_v2_t memory = {.version = sizeof(memory) | 2u << 24};
    nvmlMemory_t first = {0};
    must("memory", N(nvmlDeviceGetMemoryInfo_v2)(device, &memory));
    must("memory", N(nvmlDeviceGetMemoryInfo)(device, &first));
    if (first.used != memory.used || first.total != memory.total || first.free != memory.free)
        printf("the two versions of memory differ\n");
    if (memory.used + memory.free + memory.reserved != memory.total)
        printf("the parts of memory are not the whole\n");
    return memory;
}

static void memory_and_versions(void)
{
    nvmlDevice_t device = device_at(0);
    nvmlMemory_v2_t memory = {.version = 2};
    size_t total = 0;
    printf("-- memory\n");
    cuda.cuDeviceTotalMem_v2(&total, 0);
    if (memory_of(device).total != total)
        printf("NVML's total is not CUDA's\n");
    say("a version without a size", N(nvmlDeviceGetMemoryInfo_v2)(device, &memory));
    memory.version = sizeof(memory) | 3u << 24;
    say("a version to come", N(nvmlDeviceGetMemoryInfo_v2)(device, &memory));
    memory.version = 0xffffff | 2u << 24;
    say("an absurd size", N(nvmlDeviceGetMemoryInfo_v2)(device, &memory));
    say("none at all", N(nvmlDeviceGetMemoryInfo_v2)(device, NULL));
}

static void take_memory(size_t size)
{
    CUcontext context;
    CUdeviceptr memory;
    if (cuda.cuDevicePrimaryCtxRetain(&context, 0) != CUDA_SUCCESS ||
        cuda.cuCtxSetCurrent(context) != CUDA_SUCCESS ||
        cuda.cuMemAlloc_v2(&memory, size) != CUDA_SUCCESS)
        stop("no device memory");
}

/* Bytes that process `pid` uses of device 0, by NVML; -1: it is not there. */
static long long used_by(pid_t pid, unsigned *count)
{
    nvmlProcessInfo_t infos[16];
    *count = 16;
    must("processes", N(nvmlDeviceGetComputeRunningProcesses_v3)(device_at(0), count, infos));
    for (unsigned i = 0; i < *count; i++)
        if (infos[i].pid == (unsigned)pid)
            return (long long)infos[i].usedGpuMemory;
    return -1;
}

static void say_process(const char *who, pid_t pid)
{
    unsigned count;
    long long used = used_by(pid, &count);
    if (used < 0)
        printf("%u processes, %s is not there\n", count, who);
    else
        printf("%u processes, %s uses %lld KiB\n", count, who, used / 1024);
}

/* A process that uses the device until its stdin ends. */
static void hold(void)
{
    char byte;
    cuda.cuInit(0);
    take_memory(3 * MIB);
    puts("holds");
    fflush(stdout);
    (void)!read(STDIN_FILENO, &byte, 1);
    exit(EXIT_SUCCESS);
}

static pid_t start_holder(const char *self, int *in)
{
    int to[2], from[2];
    char line[16];
    if (pipe(to) < 0 || pipe(from) < 0)
        stop("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        execl(self, self, "hold", NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    if (read(from[0], line, sizeof(line)) <= 0)
        stop("the other process did not start");
    close(from[0]);
    *in = to[1];
    return pid;
}

/* The server notices the end of a process when that has ended. */
static void await_absence(pid_t pid)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    time_t until = time(NULL) + PATIENCE_S;
    unsigned count;
    while (used_by(pid, &count) >= 0 && time(NULL) < until)
        nanosleep(&moment, NULL);
}

static void lengths_of_lists(void)
{
    nvmlDevice_t device = device_at(0);
    nvmlProcessInfo_v1_t first[2];
    nvmlProcessDetail_v1_t details[4];
    nvmlProcessDetailList_t list = {.version = sizeof(list) | 1u << 24, .procArray = details};
    unsigned count = 0;
    say("how many", N(nvmlDeviceGetComputeRunningProcesses_v3)(device, &count, NULL));
    printf("%u\n", count);
    count = 1;
    say("room for one", N(nvmlDeviceGetComputeRunningProcesses_v2)(
                            device, &count, (nvmlProcessInfo_v2_t *)(void *)details));
    printf("%u\n", count);
    count = 2;
    memset(first, 0x5a, sizeof(first));
    say("the first structure", N(nvmlDeviceGetComputeRunningProcesses)(device, &count, first));
    printf("%u, of %llu KiB together\n", count,
           (first[0].usedGpuMemory + first[1].usedGpuMemory) / 1024);
    list.numProcArrayEntries = 4;
    say("details", N(nvmlDeviceGetRunningProcessDetailList)(device, &list));
    printf("%u\n", list.numProcArrayEntries);
    count = 4;
    say("graphics", N(nvmlDeviceGetGraphicsRunningProcesses_v3)(
                        device, &count, (nvmlProcessInfo_t *)(void *)details));
    printf("%u\n", count);
}

static void processes(const char *self)
{
    char name[256] = "";
    int in;
    printf("-- processes\n");
    say_process("this one", getpid());
    take_memory(8 * MIB);
    say_process("this one", getpid());
    pid_t other = start_holder(self, &in);
    say_process("this one", getpid());
    say_process("the other", other);
    printf("in all %llu KiB are used\n", memory_of(device_at(0)).used / 1024);
    must("name", N(nvmlSystemGetProcessName)((unsigned)other, name, sizeof(name)));
    expect_same("the name of the other", name, self);
    must("name", N(nvmlSystemGetProcessName)((unsigned)other, name, 2));
    if (strlen(name) != 1)
        printf("the name is not cut\n");
    say("nobody's name", N(nvmlSystemGetProcessName)(0x7fffffff, name, sizeof(name)));
    lengths_of_lists();
    close(in);
    waitpid(other, NULL, 0);
    await_absence(other);
    say_process("the other", other);
    printf("in all %llu KiB are used\n", memory_of(device_at(0)).used / 1024);
}

/* ---- utilization ---- */

static const char spin[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                           ".visible .entry spin(.param .u32 n)\n{\n"
                           ".reg .b32 %r<2>; .reg .pred %p<2>;\n"
                           "ld.param.u32 %r1, [n];\n"
                           "again:\nsub.u32 %r1, %r1, 1;\nsetp.ne.u32 %p1, %r1, 0;\n"
                           "@%p1 bra again;\nret;\n}\n";

static unsigned share_of_device(void)
{
    nvmlUtilization_t utilization = {0};
    must("utilization", N(nvmlDeviceGetUtilizationRates)(device_at(0), &utilization));
    return utilization.gpu;
}

static unsigned share_of_process(void)
{
    nvmlProcessUtilizationSample_t samples[8];
    unsigned count = 8;
    if (N(nvmlDeviceGetProcessUtilization)(device_at(0), samples, &count, 0) != NVML_SUCCESS)
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (samples[i].pid == (unsigned)getpid())
            return samples[i].smUtil;
    return 0;
}

/* It is told of whole seconds: kernels run until one of them shows. */
static void utilization(void)
{
    CUmodule module;
    CUfunction function;
    unsigned n = 200000, most = 0, own = 0;
    void *parameters[] = {&n};
    time_t until = time(NULL) + PATIENCE_S;
    printf("-- utilization\n");
    if (cuda.cuModuleLoadData(&module, spin) != CUDA_SUCCESS ||
        cuda.cuModuleGetFunction(&function, module, "spin") != CUDA_SUCCESS)
        stop("no kernel");
    while ((most == 0 || own == 0) && time(NULL) < until) {
        if (cuda.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL) !=
                CUDA_SUCCESS ||
            cuda.cuCtxSynchronize() != CUDA_SUCCESS)
            stop("no launch");
        unsigned now = share_of_device();
        most = now > most ? now : most;
        now = share_of_process();
        own = now > own ? now : own;
    }
    printf("kernels %s, %s\n", most > 0 ? "show" : "do not show",
           most <= 100 ? "in percent" : "wildly");
    printf("this process %s\n", own > 0 ? "shows" : "does not show");
}

/* ---- the private table, forks, the end ---- */

static void private_table(void)
{
    static const unsigned char known[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                            0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    static const unsigned char other[16] = {1};
    static unsigned char rows[8][4128];
    const void *table = NULL;
    unsigned count = 8, pid, sampled = 0;
    nvmlDevice_t device = device_at(0);
    nvmlPciInfo_t pci = {0};
    char bus_id[16] = "";
    printf("-- the private table\n");
    say("an unknown one", N(nvmlInternalGetExportTable)(&table, other));
    must("table", N(nvmlInternalGetExportTable)(&table, known));
    void *const *slots = table;
    nvmlReturn_t (*bus_id_by_index)(unsigned, char *);
    nvmlReturn_t (*is_sampled)(nvmlDevice_t, unsigned *);
    nvmlReturn_t (*write_log)(const char *, ...);
    nvmlReturn_t (*list)(nvmlDevice_t, unsigned *, void *);
    nvmlReturn_t (*unknown)(nvmlDevice_t, unsigned *);
    printf("it has %zu bytes\n", *(const size_t *)table);
    *(const void **)&write_log = slots[WH_NVML_SLOT_LOG];
    *(const void **)&is_sampled = slots[WH_NVML_SLOT_IS_SAMPLED];
    *(const void **)&bus_id_by_index = slots[WH_NVML_SLOT_BUS_ID_BY_INDEX];
    *(const void **)&list = slots[WH_NVML_SLOT_COMPUTE_PROCESSES];
    *(const void **)&unknown = slots[100];
    say("log", write_log("%s: %s\n", "stdout", "text"));
    say("bus id", bus_id_by_index(0, bus_id));
    must("bus id", N(nvmlDeviceGetPciInfo_v3)(device, &pci));
    printf("it is %s\n", strcmp(bus_id, pci.busIdLegacy) == 0 ? "the device's" : bus_id);
    say("bus id of none", bus_id_by_index(9, bus_id));
    say("samples", is_sampled(device, &sampled));
    printf("%u\n", sampled);
    say("samples of none", is_sampled(NULL, &sampled));
    say("processes", list(device, &count, rows));
    memcpy(&pid, rows[0], sizeof(pid));
    printf("%u, %s\n", count, pid == (unsigned)getpid() ? "this one" : "another");
    say("another slot", unknown(device, &count));
}

static void events(void)
{
    nvmlEventSet_t set = NULL;
    nvmlEventData_t event;
    unsigned long long types = 9;
    printf("-- events\n");
    say("a set", N(nvmlEventSetCreate)(&set));
    must("types", N(nvmlDeviceGetSupportedEventTypes)(device_at(0), &types));
    printf("kinds: %llx\n", types);
    say("register", N(nvmlDeviceRegisterEvents)(device_at(0), nvmlEventTypeXidCriticalError, set));
    say("wait", N(nvmlEventSetWait_v2)(set, &event, 1));
    say("wait nowhere", N(nvmlEventSetWait_v2)(set, NULL, 1));
    say("free", N(nvmlEventSetFree)(set));
    say("wait after it", N(nvmlEventSetWait_v2)(set, &event, 1));
}

static void in_a_child(void)
{
    nvmlDevice_t parents = device_at(1);
    printf("-- in a child\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned count = 0;
        char uuid[96] = "";
        must("uuid", N(nvmlDeviceGetUUID)(parents, uuid, sizeof(uuid)));
        printf("the parent's handle is of %s\n", uuid);
        say("init", N(nvmlInit_v2)());
        say("count", N(nvmlDeviceGetCount_v2)(&count));
        printf("the handle is %s\n", device_at(1) == parents ? "the same" : "another");
        must("uuid", N(nvmlDeviceGetUUID)(device_at(1), uuid, sizeof(uuid)));
        printf("%u devices, the second is %s\n", count, uuid);
        say("shutdown", N(nvmlShutdown)());
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    printf("the child ended with %d\n", status);
}

static void end(void)
{
    nvmlDevice_t device = device_at(0), again;
    unsigned index = 9;
    printf("-- the end\n");
    say("shutdown", N(nvmlShutdown)());
    say("after it", N(nvmlDeviceGetIndex)(device, &index));
    say("shutdown", N(nvmlShutdown)());
    say("init", N(nvmlInit_v2)());
    again = device_at(0);
    printf("the handle is %s\n", again == device ? "the same" : "another");
    say("shutdown", N(nvmlShutdown)());
}

int main(int argc, char **argv)
{
    open_libraries();
    if (argc > 1 && strcmp(argv[1], "hold") == 0)
        hold();
    cuda.cuInit(0);
    initialise();
    versions();
    identities();
    older_structures();
    ask_everything();
    ask_by_kind();
    refused();
    memory_and_versions();
    processes(argv[0]);
    utilization();
    private_table();
    events();
    in_a_child();
    end();
    return 0;
}
