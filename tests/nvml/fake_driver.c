/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver library as NVIDIA's looks to the worker that serves NVML, with known answers: its
 * management library has three GPUs and tells of all processes of the host; its CUDA shows two of
 * them, in another order, as CUDA_VISIBLE_DEVICES would. Loaded by WORMHOLE_CUDA_LIBRARY.
 */
#include "cuda_types.h"
#include "nvml_types.h"

#include <stdio.h>
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
