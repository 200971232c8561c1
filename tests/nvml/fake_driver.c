/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver library as NVIDIA's looks to the worker that serves NVML, with known answers: its
 * management library has three GPUs and tells of all processes of the host; its CUDA shows two of
 * them, in another order, as CUDA_VISIBLE_DEVICES would. It has a private table as driver 580 has.
 * Loaded by WORMHOLE_CUDA_LIBRARY.
 */
#include "cuda_types.h"
#include "nvml_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define MIB (1ull << 20)

enum { FIRST, SECOND, THIRD, GPUS };

static struct nvmlDevice_st {
    int number;
} gpus[GPUS] = {{FIRST}, {SECOND}, {THIRD}};

static const int shown[] = {THIRD, FIRST};

/* ---- CUDA ---- */

API CUresult cuInit(unsigned flags)
{
    (void)flags;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetCount(int *count)
{
    *count = 2;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    memset(uuid->bytes, 0xa0 + shown[device], sizeof(uuid->bytes));
    return CUDA_SUCCESS;
}

/* ---- NVML ---- */

API nvmlReturn_t nvmlInit_v2(void)
{
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{
    char b[3];
    (void)snprintf(b, sizeof(b), "%02x", 0xa0 + device->number);
    (void)snprintf(uuid, length, "GPU-%s%s%s%s-%s%s-%s%s-%s%s-%s%s%s%s%s%s", b, b, b, b, b, b, b, b,
                   b, b, b, b, b, b, b, b);
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    for (int i = 0; i < GPUS; i++) {
        char own[64];
        (void)nvmlDeviceGetUUID(&gpus[i], own, sizeof(own));
        if (strcmp(own, uuid) == 0) {
            *device = &gpus[i];
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

API nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    if (strlen(serial) != 1 || *serial < '0' || *serial >= '0' + GPUS)
        return NVML_ERROR_NOT_FOUND;
    *device = &gpus[*serial - '0'];
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index)
{
    *index = (unsigned)device->number;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    *version = 13050;
    return NVML_SUCCESS;
}

/* 1000 MiB, of which the driver holds 30, a process of somebody 100 and this one 20. */
API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    (void)device;
    *memory = (nvmlMemory_t){.total = 1000 * MIB, .free = 850 * MIB, .used = 150 * MIB};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                         nvmlProcessInfo_t *infos)
{
    const nvmlProcessInfo_t all[] = {{1, 100 * MIB, 0xffffffff, 0xffffffff},
                                     {(unsigned)getpid(), 20 * MIB, 0xffffffff, 0xffffffff}};
    unsigned room = *count;
    (void)device;
    *count = 2;
    if (room < 2)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(infos, all, sizeof(all));
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                          nvmlProcessInfo_t *infos)
{
    (void)device;
    *count = 1;
    infos[0] = (nvmlProcessInfo_t){.pid = 1, .usedGpuMemory = MIB};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    *utilization = (nvmlUtilization_t){.gpu = 70 + (unsigned)device->number, .memory = 5};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                 nvmlProcessUtilizationSample_t *samples,
                                                 unsigned *count, unsigned long long last)
{
    unsigned room = *count;
    (void)device;
    *count = 3;
    if (!samples || room < 3)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    samples[0] = (nvmlProcessUtilizationSample_t){.pid = 1, .timeStamp = last + 1, .smUtil = 60};
    samples[1] = (nvmlProcessUtilizationSample_t){
        .pid = (unsigned)getpid(), .timeStamp = last + 2, .smUtil = 11, .decUtil = 3};
    samples[2] = (nvmlProcessUtilizationSample_t){.pid = 2, .timeStamp = last + 3, .smUtil = 50};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                          unsigned *temperature)
{
    *temperature = 40 + (unsigned)device->number;
    return sensor == NVML_TEMPERATURE_GPU ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

API nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
    if (temperature->version != (sizeof(*temperature) | 1u << 24))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (temperature->sensorType != NVML_TEMPERATURE_GPU)
        return NVML_ERROR_INVALID_ARGUMENT;
    temperature->temperature = 50 + device->number;
    return NVML_SUCCESS;
}

/* Knows the second version of a structure whose third one is described, and fills all of it. */
API nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfoV_t *info)
{
    nvmlGpuFabricInfo_v2_t *older = (nvmlGpuFabricInfo_v2_t *)(void *)info;
    if (info->version != (sizeof(*older) | 2u << 24))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memset((char *)older + sizeof(older->version), 0x11, sizeof(*older) - sizeof(older->version));
    older->cliqueId = (unsigned)device->number;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned *count,
                                                    unsigned *clocks)
{
    unsigned room = *count;
    (void)device;
    *count = 3;
    if (room < 3)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < 3; i++)
        clocks[i] = 3000 - i;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    for (int i = 0; i < count; i++) {
        values[i].valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
        values[i].value.uiVal = values[i].fieldId + values[i].scopeId + (unsigned)device->number;
        values[i].nvmlReturn = i == 1 ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
    }
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type,
                                      unsigned long long last, nvmlValueType_t *value_type,
                                      unsigned *count, nvmlSample_t *samples)
{
    (void)device;
    (void)type;
    *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
    if (!samples) {
        *count = 100;
        return NVML_SUCCESS;
    }
    *count = 1;
    samples[0] = (nvmlSample_t){.timeStamp = last + 7, .sampleValue.uiVal = 33};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other,
                                                     nvmlGpuTopologyLevel_t *level)
{
    *level = one == other ? NVML_TOPOLOGY_INTERNAL : NVML_TOPOLOGY_NODE;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                              unsigned *count, unsigned long long *addresses,
                                              unsigned long long *timestamps)
{
    unsigned room = *count;
    *count = cause == NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR ? 2 : 0;
    if (room < *count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) {
        addresses[i] = 0x1000 * (i + 1) + (unsigned)device->number;
        if (timestamps)
            timestamps[i] = 70 + i;
    }
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                           unsigned *count, unsigned long long *addresses)
{
    return nvmlDeviceGetRetiredPages_v2(device, cause, count, addresses, NULL);
}

/* ---- what is near ---- */

API nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned size, unsigned long *set)
{
    memset(set, 0, size * sizeof(*set));
    set[size - 1] = 0xf0ul + (unsigned)device->number;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned size, unsigned long *set,
                                             nvmlAffinityScope_t scope)
{
    memset(set, 0, size * sizeof(*set));
    set[0] = 1ul << device->number;
    return scope == NVML_AFFINITY_SCOPE_NODE ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

API nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t device, unsigned *node)
{
    *node = 4 + (unsigned)device->number;
    return NVML_SUCCESS;
}

/* ---- events ---- */

/* One event, of what was registered for last. */
static struct nvmlEventSet_st {
    nvmlDevice_t device;
    unsigned long long types;
} only_set;

API nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    *set = &only_set;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                          nvmlEventSet_t set)
{
    *set = (struct nvmlEventSet_st){.device = device, .types = types};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout)
{
    if (set->types == 0)
        return NVML_ERROR_TIMEOUT;
    *data = (nvmlEventData_t){.device = set->device,
                              .eventType = set->types,
                              .eventData = timeout,
                              .gpuInstanceId = 0xffffffff,
                              .computeInstanceId = 7};
    set->types = 0;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    return set == &only_set ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

/* ---- the private table: public functions where they are in driver 580, and some of its own ----
 */

API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    (void)snprintf(version, length, "580.159.04");
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetGpuOperationMode(nvmlDevice_t device, nvmlGpuOperationMode_t *current,
                                               nvmlGpuOperationMode_t *pending)
{
    (void)device;
    *current = *pending = NVML_GOM_COMPUTE;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, nvmlEnableState_t *active)
{
    (void)device;
    *active = NVML_FEATURE_DISABLED;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned *limit)
{
    *limit = 700000 + (unsigned)device->number;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *limit)
{
    *limit = 600000 + (unsigned)device->number;
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char *text, unsigned length)
{
    (void)snprintf(text, length, "board %d", device->number);
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, nvmlPerfPolicyType_t policy,
                                              nvmlViolationTime_t *time)
{
    *time = (nvmlViolationTime_t){.referenceTime = (unsigned)policy,
                                  .violationTime = 50 + (unsigned)device->number};
    return NVML_SUCCESS;
}

API nvmlReturn_t nvmlDeviceGetRemappedRows_v2(nvmlDevice_t device, unsigned *info)
{
    for (unsigned i = 0; i < 6; i++)
        info[i] = i + 10 * (unsigned)device->number;
    return NVML_SUCCESS;
}

static nvmlReturn_t sparse_mode(nvmlDevice_t device, unsigned *mode)
{
    *mode = 40 + (unsigned)device->number;
    return NVML_SUCCESS;
}

static nvmlReturn_t gpu_part(nvmlDevice_t device, char *text, unsigned length)
{
    (void)snprintf(text, length, "part %d of %u bytes", device->number, length);
    return NVML_SUCCESS;
}

static nvmlReturn_t never(void)
{
    _exit(99); /* whoever calls a slot that nobody knows */
}

API nvmlReturn_t nvmlInternalGetExportTable(const void **place, const void *id)
{
    static uintptr_t table[WH_NVML_SLOTS];
    if (*(const unsigned char *)id != 0xc4)
        return NVML_ERROR_NOT_FOUND;
    for (unsigned i = 0; i < WH_NVML_SLOTS; i++)
        table[i] = (uintptr_t)never;
    table[0] = sizeof(table);
    table[WH_NVML_SLOT_GET_GPU_OPERATION_MODE] = (uintptr_t)nvmlDeviceGetGpuOperationMode;
    table[WH_NVML_SLOT_DISPLAY_ACTIVE] = (uintptr_t)nvmlDeviceGetDisplayActive;
    table[WH_NVML_SLOT_POWER_DEFAULT_LIMIT] = (uintptr_t)nvmlDeviceGetPowerManagementDefaultLimit;
    table[WH_NVML_SLOT_ENFORCED_POWER_LIMIT] = (uintptr_t)nvmlDeviceGetEnforcedPowerLimit;
    table[WH_NVML_SLOT_BOARD_PART_NUMBER] = (uintptr_t)nvmlDeviceGetBoardPartNumber;
    table[WH_NVML_SLOT_SPARSE_OPERATION_MODE] = (uintptr_t)sparse_mode;
    table[WH_NVML_SLOT_GPU_PART_NUMBER] = (uintptr_t)gpu_part;
    *place = table;
    /* As a driver of another order would be: then none of its slots is to be called. */
    if (getenv("FAKE_DRIVER_REORDERED"))
        table[WH_NVML_SLOT_BOARD_PART_NUMBER] = (uintptr_t)never;
    return NVML_SUCCESS;
}
