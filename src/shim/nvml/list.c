/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists whose length goes in and out: what there was room for is asked for, and how many there are
 * is told; see shim.h and the messages in the description.
 */
#include "shim/nvml/shim.h"

#include <stdlib.h>
#include <string.h>

static unsigned room_for(unsigned count, const void *list)
{
    return !list ? 0 : count < WH_NVML_MOST_ROOM ? count : WH_NVML_MOST_ROOM;
}

/* Whether a call may go on that gives its answer there. */
static nvmlReturn_t ready_for(const void *place)
{
    nvmlReturn_t ready = wh_nvml_ready();
    return ready == NVML_SUCCESS && !place ? NVML_ERROR_INVALID_ARGUMENT : ready;
}

/* What natively follows from how many there are and how many had room. */
static nvmlReturn_t tell(nvmlReturn_t result, unsigned there, unsigned room, unsigned *count)
{
    if (result != NVML_SUCCESS)
        return result;
    *count = there;
    return there > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

/* ---- processes ---- */

nvmlReturn_t wh_nvml_processes(nvmlDevice_t device, unsigned kind, unsigned *count,
                               nvmlProcessDetail_v1_t *list)
{
    unsigned there = 0, room = room_for(*count, list);
    nvmlReturn_t result = wh_nvml_call_processes(device, kind, room, &there, room ? list : NULL);
    return tell(result, there, room, count);
}

/* The same in structures of 16 bytes (the first version) or 24. */
static nvmlReturn_t give_processes(nvmlDevice_t device, unsigned kind, unsigned *count, void *infos,
                                   size_t size)
{
    nvmlReturn_t ready = ready_for(count);
    if (ready != NVML_SUCCESS)
        return ready;
    unsigned room = room_for(*count, infos);
    nvmlProcessDetail_v1_t *list = calloc(room + 1, sizeof(*list));
    if (!list)
        return NVML_ERROR_MEMORY;
    *count = room;
    nvmlReturn_t result = wh_nvml_processes(device, kind, count, list);
    for (unsigned i = 0; result == NVML_SUCCESS && i < *count; i++) {
        const nvmlProcessInfo_t info = {.pid = list[i].pid,
                                        .usedGpuMemory = list[i].usedGpuMemory,
                                        .gpuInstanceId = list[i].gpuInstanceId,
                                        .computeInstanceId = list[i].computeInstanceId};
        memcpy((char *)infos + i * size, &info, size);
    }
    free(list);
    return result;
}

#define PROCESSES(function, kind, type)                                                        \
    WH_EXPORT nvmlReturn_t function(nvmlDevice_t device, unsigned int *infoCount, type *infos) \
    {                                                                                          \
        return give_processes(device, kind, infoCount, infos, sizeof(*infos));                 \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, WH_NVML_COMPUTE, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, WH_NVML_COMPUTE, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, WH_NVML_COMPUTE, nvmlProcessInfo_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, WH_NVML_GRAPHICS, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, WH_NVML_GRAPHICS, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, WH_NVML_GRAPHICS, nvmlProcessInfo_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, WH_NVML_MPS, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2, WH_NVML_MPS, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, WH_NVML_MPS, nvmlProcessInfo_t)

WH_EXPORT nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                             nvmlProcessDetailList_t *plist)
{
    nvmlReturn_t ready = ready_for(plist);
    if (ready != NVML_SUCCESS)
        return ready;
    if (plist->version != ((unsigned)sizeof(*plist) | 1u << 24))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (plist->mode > WH_NVML_MPS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return wh_nvml_processes(device, plist->mode, &plist->numProcArrayEntries, plist->procArray);
}

/* ---- processes' shares of the time ---- */

nvmlReturn_t wh_nvml_process_utilization(nvmlDevice_t device, unsigned long long last_seen,
                                         unsigned *count, nvmlProcessUtilizationInfo_v1_t *list)
{
    unsigned there = 0, room = room_for(*count, list);
    nvmlReturn_t result =
        wh_nvml_call_process_utilization(device, last_seen, room, &there, room ? list : NULL);
    return tell(result, there, room, count);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                       nvmlProcessUtilizationSample_t *utilization,
                                                       unsigned int *processSamplesCount,
                                                       unsigned long long lastSeenTimeStamp)
{
    nvmlReturn_t result = ready_for(processSamplesCount);
    if (result != NVML_SUCCESS)
        return result;
    unsigned room = room_for(*processSamplesCount, utilization);
    nvmlProcessUtilizationInfo_v1_t *list = calloc(room + 1, sizeof(*list));
    if (!list)
        return NVML_ERROR_MEMORY;
    *processSamplesCount = room;
    result = wh_nvml_process_utilization(device, lastSeenTimeStamp, processSamplesCount, list);
    for (unsigned i = 0; result == NVML_SUCCESS && i < *processSamplesCount; i++)
        utilization[i] = (nvmlProcessUtilizationSample_t){.pid = list[i].pid,
                                                          .timeStamp = list[i].timeStamp,
                                                          .smUtil = list[i].smUtil,
                                                          .memUtil = list[i].memUtil,
                                                          .encUtil = list[i].encUtil,
                                                          .decUtil = list[i].decUtil};
    free(list);
    return result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(
    nvmlDevice_t device, nvmlProcessesUtilizationInfo_t *procesesUtilInfo)
{
    nvmlProcessesUtilizationInfo_t *info = procesesUtilInfo;
    nvmlReturn_t ready = ready_for(info);
    if (ready != NVML_SUCCESS)
        return ready;
    if (info->version != ((unsigned)sizeof(*info) | 1u << 24))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return wh_nvml_process_utilization(device, info->lastSeenTimeStamp, &info->processSamplesCount,
                                       info->procUtilArray);
}

/* ---- fields, clocks, samples ---- */

WH_EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount,
                                                nvmlFieldValue_t *values)
{
    nvmlReturn_t ready = wh_nvml_ready();
    if (ready != NVML_SUCCESS)
        return ready;
    if (!values || valuesCount <= 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned done = 0, count = (unsigned)valuesCount; done < count;) {
        unsigned n = count - done < 256 ? count - done : 256;
        nvmlReturn_t result = wh_nvml_call_field_values(device, n, values + done, values + done);
        if (result != NVML_SUCCESS)
            return result;
        done += n;
    }
    return NVML_SUCCESS;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count,
                                                          unsigned int *clocksMHz)
{
    nvmlReturn_t ready = ready_for(count);
    if (ready != NVML_SUCCESS)
        return ready;
    unsigned there = 0, room = room_for(*count, clocksMHz);
    nvmlReturn_t result =
        wh_nvml_call_supported_memory_clocks(device, room, &there, room ? clocksMHz : NULL);
    return tell(result, there, room, count);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device,
                                                            unsigned int memoryClockMHz,
                                                            unsigned int *count,
                                                            unsigned int *clocksMHz)
{
    nvmlReturn_t ready = ready_for(count);
    if (ready != NVML_SUCCESS)
        return ready;
    unsigned there = 0, room = room_for(*count, clocksMHz);
    nvmlReturn_t result = wh_nvml_call_supported_graphics_clocks(device, memoryClockMHz, room,
                                                                 &there, room ? clocksMHz : NULL);
    return tell(result, there, room, count);
}

/* Here no list means the question how many there may be, which is no error. */
WH_EXPORT nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type,
                                            unsigned long long lastSeenTimeStamp,
                                            nvmlValueType_t *sampleValType,
                                            unsigned int *sampleCount, nvmlSample_t *samples)
{
    nvmlReturn_t ready = wh_nvml_ready();
    if (ready != NVML_SUCCESS)
        return ready;
    if (!sampleValType || !sampleCount)
        return NVML_ERROR_INVALID_ARGUMENT;
    unsigned there = 0, room = room_for(*sampleCount, samples);
    nvmlReturn_t result = wh_nvml_call_samples(device, type, lastSeenTimeStamp, room, sampleValType,
                                               &there, room ? samples : NULL);
    if (result == NVML_SUCCESS)
        *sampleCount = there;
    return result;
}

/* ---- retired pages ---- */

static nvmlReturn_t give_pages(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                               unsigned *count, unsigned long long *addresses,
                               unsigned long long *timestamps)
{
    nvmlReturn_t ready = wh_nvml_ready();
    if (ready != NVML_SUCCESS)
        return ready;
    if (!count || (*count && !addresses))
        return NVML_ERROR_INVALID_ARGUMENT;
    unsigned there = 0, room = room_for(*count, addresses);
    nvmlReturn_t result =
        wh_nvml_call_retired_pages(device, cause, room, &there, addresses, timestamps);
    return tell(result, there, room, count);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device,
                                                 nvmlPageRetirementCause_t cause,
                                                 unsigned int *pageCount,
                                                 unsigned long long *addresses)
{
    return give_pages(device, cause, pageCount, addresses, NULL);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device,
                                                    nvmlPageRetirementCause_t cause,
                                                    unsigned int *pageCount,
                                                    unsigned long long *addresses,
                                                    unsigned long long *timestamps)
{
    if (wh_nvml_ready() == NVML_SUCCESS && pageCount && *pageCount && !timestamps)
        return NVML_ERROR_INVALID_ARGUMENT;
    return give_pages(device, cause, pageCount, addresses, timestamps);
}
