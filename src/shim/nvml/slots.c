/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the private table (export_table.c) whose meaning is known from what nvidia-smi of
 * driver 580 passes, gets and shows. Several are public functions; others are composed of them;
 * what no public function says, the worker asks the server's own table. None tells more of others
 * than the public functions do.
 */
#include "shim/nvml/shim.h"

#include <stdlib.h>
#include <string.h>

/* ---- the library and its devices ---- */

/* A line for the library's log, by a format: nvidia-smi sends all that it prints. Nobody reads it.
 */
static nvmlReturn_t write_log(const char *format, ...)
{
    (void)format;
    return NVML_SUCCESS;
}

/* As the first versions' structure has it: 16 bytes at most. */
static nvmlReturn_t bus_id_by_index(unsigned index, char *bus_id)
{
    nvmlDevice_t device = NULL;
    nvmlPciInfo_t pci = {0};
    if (!bus_id)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = nvmlDeviceGetHandleByIndex_v2(index, &device);
    if (result == NVML_SUCCESS)
        result = nvmlDeviceGetPciInfo_v3(device, &pci);
    if (result == NVML_SUCCESS)
        memcpy(bus_id, pci.busIdLegacy, sizeof(pci.busIdLegacy));
    return result;
}

/* Whether the driver keeps samples of the device's use, without which dmon and pmon do not begin.
 * What of them there is, each question says for itself. */
static nvmlReturn_t is_sampled(nvmlDevice_t device, unsigned *sampled)
{
    unsigned index;
    nvmlReturn_t result = nvmlDeviceGetIndex(device, sampled ? &index : NULL);
    if (result == NVML_SUCCESS)
        *sampled = 1;
    return result;
}

static nvmlReturn_t thermal_violation(nvmlDevice_t device, nvmlViolationTime_t *time)
{
    return nvmlDeviceGetViolationStatus(device, NVML_PERF_POLICY_THERMAL, time);
}

/* ---- processes ---- */

/* One process in a list. */
struct named_process {
    nvmlProcessDetail_v1_t detail;
    char name[4096];
};

_Static_assert(sizeof(struct named_process) == 4128, "nvidia-smi steps by this");

static nvmlReturn_t give_processes(nvmlDevice_t device, unsigned kind, unsigned *count,
                                   struct named_process *list)
{
    nvmlProcessDetail_v1_t found[256];
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!count || !list)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (*count > sizeof(found) / sizeof(found[0]))
        *count = sizeof(found) / sizeof(found[0]);
    result = wh_nvml_processes(device, kind, count, found);
    for (unsigned i = 0; result == NVML_SUCCESS && i < *count; i++) {
        list[i].detail = found[i];
        if (wh_nvml_process_name(found[i].pid, list[i].name, sizeof(list[i].name)) != NVML_SUCCESS)
            strcpy(list[i].name, "[Not Found]");
    }
    return result;
}

static nvmlReturn_t compute_processes(nvmlDevice_t device, unsigned *count,
                                      struct named_process *list)
{
    return give_processes(device, WH_NVML_COMPUTE, count, list);
}

static nvmlReturn_t graphics_processes(nvmlDevice_t device, unsigned *count,
                                       struct named_process *list)
{
    return give_processes(device, WH_NVML_GRAPHICS, count, list);
}

static nvmlReturn_t mps_processes(nvmlDevice_t device, unsigned *count, struct named_process *list)
{
    return give_processes(device, WH_NVML_MPS, count, list);
}

/* Who had how much of an engine, in percent; nobody: process -1. */
struct engine_share {
    nvmlValue_t percent;
    unsigned pid;
    char rest[68];
};

/* In the order in which nvidia-smi shows them: sm, memory, encoder, decoder, JPEG, optical flow. */
struct engines_sample {
    unsigned long long time; /* microseconds */
    struct engine_share shares[6];
};

_Static_assert(sizeof(struct engines_sample) == 488, "nvidia-smi steps by this");

static void fill_sample(struct engines_sample *sample, const nvmlProcessUtilizationInfo_v1_t *info)
{
    const unsigned shares[6] = {info->smUtil,  info->memUtil, info->encUtil,
                                info->decUtil, info->jpgUtil, info->ofaUtil};
    *sample = (struct engines_sample){.time = info->timeStamp};
    for (unsigned i = 0; i < 6; i++) {
        sample->shares[i].percent.uiVal = shares[i];
        sample->shares[i].pid = i < 2 || shares[i] ? info->pid : ~0u;
    }
}

static nvmlReturn_t process_samples(nvmlDevice_t device, unsigned long long last_seen,
                                    nvmlValueType_t *type, unsigned *count,
                                    struct engines_sample *list)
{
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!type || !count || !list)
        return NVML_ERROR_INVALID_ARGUMENT;
    unsigned n = *count < WH_NVML_MOST_ROOM ? *count : WH_NVML_MOST_ROOM;
    nvmlProcessUtilizationInfo_v1_t *found = calloc(n + 1, sizeof(*found));
    if (!found)
        return NVML_ERROR_MEMORY;
    *type = NVML_VALUE_TYPE_UNSIGNED_INT;
    result = wh_nvml_process_utilization(device, last_seen, &n, found);
    for (unsigned i = 0; result == NVML_SUCCESS && i < n; i++)
        fill_sample(&list[i], &found[i]);
    if (result == NVML_SUCCESS || result == NVML_ERROR_INSUFFICIENT_SIZE)
        *count = n;
    free(found);
    return result;
}

/* ---- what the server's table says ---- */

#define NUMBER(function, slot)                                                                    \
    static nvmlReturn_t function(nvmlDevice_t device, unsigned *value)                            \
    {                                                                                             \
        return wh_nvml_ready() == NVML_SUCCESS ? wh_nvml_call_private_number(device, slot, value) \
                                               : NVML_ERROR_UNINITIALIZED;                        \
    }

NUMBER(host_link_generation, WH_NVML_SLOT_HOST_LINK_GENERATION)
NUMBER(deferred_memory_clock, WH_NVML_SLOT_DEFERRED_MEMORY_CLOCK)
NUMBER(sparse_operation_mode, WH_NVML_SLOT_SPARSE_OPERATION_MODE)

static nvmlReturn_t give_text(nvmlDevice_t device, unsigned slot, char *text, unsigned length)
{
    char found[WH_NVML_PRIVATE_TEXT] = "";
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!text || length == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (length > sizeof(found))
        length = sizeof(found);
    result = wh_nvml_call_private_text(device, slot, length, found);
    found[length - 1] = '\0';
    if (result == NVML_SUCCESS)
        strcpy(text, found); /* no longer than `length` */
    return result;
}

static nvmlReturn_t gpu_part_number(nvmlDevice_t device, char *text, unsigned length)
{
    return give_text(device, WH_NVML_SLOT_GPU_PART_NUMBER, text, length);
}

static nvmlReturn_t fru_part_number(nvmlDevice_t device, char *text, unsigned length)
{
    return give_text(device, WH_NVML_SLOT_FRU_PART_NUMBER, text, length);
}

void wh_nvml_fill_slots(uintptr_t *table)
{
    table[WH_NVML_SLOT_LOG] = (uintptr_t)write_log;
    table[WH_NVML_SLOT_GET_GPU_OPERATION_MODE] = (uintptr_t)nvmlDeviceGetGpuOperationMode;
    table[WH_NVML_SLOT_SET_GPU_OPERATION_MODE] = (uintptr_t)nvmlDeviceSetGpuOperationMode;
    table[WH_NVML_SLOT_DISPLAY_ACTIVE] = (uintptr_t)nvmlDeviceGetDisplayActive;
    table[WH_NVML_SLOT_POWER_LIMIT_CONSTRAINTS] =
        (uintptr_t)nvmlDeviceGetPowerManagementLimitConstraints;
    table[WH_NVML_SLOT_POWER_DEFAULT_LIMIT] = (uintptr_t)nvmlDeviceGetPowerManagementDefaultLimit;
    table[WH_NVML_SLOT_SET_POWER_LIMIT] = (uintptr_t)nvmlDeviceSetPowerManagementLimit;
    table[WH_NVML_SLOT_IS_SAMPLED] = (uintptr_t)is_sampled;
    table[WH_NVML_SLOT_BUS_ID_BY_INDEX] = (uintptr_t)bus_id_by_index;
    table[WH_NVML_SLOT_ENFORCED_POWER_LIMIT] = (uintptr_t)nvmlDeviceGetEnforcedPowerLimit;
    table[WH_NVML_SLOT_THERMAL_VIOLATION] = (uintptr_t)thermal_violation;
    table[WH_NVML_SLOT_PROCESS_SAMPLES] = (uintptr_t)process_samples;
    table[WH_NVML_SLOT_BOARD_PART_NUMBER] = (uintptr_t)nvmlDeviceGetBoardPartNumber;
    table[WH_NVML_SLOT_COMPUTE_PROCESSES] = (uintptr_t)compute_processes;
    table[WH_NVML_SLOT_GRAPHICS_PROCESSES] = (uintptr_t)graphics_processes;
    table[WH_NVML_SLOT_MPS_PROCESSES] = (uintptr_t)mps_processes;
    table[WH_NVML_SLOT_HOST_LINK_GENERATION] = (uintptr_t)host_link_generation;
    table[WH_NVML_SLOT_GPU_PART_NUMBER] = (uintptr_t)gpu_part_number;
    table[WH_NVML_SLOT_DEFERRED_MEMORY_CLOCK] = (uintptr_t)deferred_memory_clock;
    table[WH_NVML_SLOT_FRU_PART_NUMBER] = (uintptr_t)fru_part_number;
    table[WH_NVML_SLOT_SPARSE_OPERATION_MODE] = (uintptr_t)sparse_operation_mode;
}
