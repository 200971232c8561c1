/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a device's use is the tenant's: its memory, its processes, their share of the time. Where
 * the library knows all processes of the machine, the tenant's are those whose process is a worker
 * of the tenant; they are told by their clients' numbers. Else the ledger has the figures.
 */
#include "backend/nvml/backend.h"

#include <stdlib.h>
#include <string.h>

typedef nvmlReturn_t (*list_function)(nvmlDevice_t, unsigned *, nvmlProcessInfo_t *);

const struct wh_account *wh_nvml_account(struct wh_call *call, unsigned worker)
{
    return wh_ledger_find(&call->worker->ledger, worker);
}

/* The tenant's processes on a device, as they are found. */
struct found {
    nvmlProcessDetail_v1_t *list;
    unsigned count, room;
};

/* Several sessions of one client are one process; parts of a device are told apart. */
static void add(struct found *found, const nvmlProcessDetail_v1_t *process)
{
    for (unsigned i = 0; i < found->count; i++) {
        nvmlProcessDetail_v1_t *known = &found->list[i];
        if (known->pid != process->pid || known->gpuInstanceId != process->gpuInstanceId ||
            known->computeInstanceId != process->computeInstanceId)
            continue;
        if (process->usedGpuMemory != (unsigned long long)NVML_VALUE_NOT_AVAILABLE)
            known->usedGpuMemory += process->usedGpuMemory;
        return;
    }
    if (found->count < found->room)
        found->list[found->count++] = *process;
}

/* ---- from the ledger ---- */

static void find_in_ledger(struct wh_call *call, int device, struct found *found)
{
    const struct wh_ledger *ledger = &call->worker->ledger;
    for (size_t i = 0; i < ledger->count && device < (int)WH_LEDGER_DEVICES; i++) {
        const struct wh_account *account = &ledger->accounts[i];
        const struct wh_meter *meter = &account->meters[device];
        /* Acquire pairs with the daemon's release. */
        if (!atomic_load_explicit(&account->session, memory_order_acquire) ||
            atomic_load_explicit(&meter->contexts, memory_order_relaxed) == 0)
            continue;
        add(found, &(nvmlProcessDetail_v1_t){
                       .pid = account->client,
                       .usedGpuMemory = atomic_load_explicit(&meter->memory, memory_order_relaxed),
                       .gpuInstanceId = INVALID_GPU_INSTANCE_ID,
                       .computeInstanceId = INVALID_GPU_INSTANCE_ID,
                   });
    }
}

/* ---- from the library ---- */

static list_function function_for(const struct wh_nvml_state *state, unsigned kind)
{
    switch (kind) {
    case WH_NVML_COMPUTE:
        return state->f.nvmlDeviceGetComputeRunningProcesses_v3;
    case WH_NVML_GRAPHICS:
        return state->f.nvmlDeviceGetGraphicsRunningProcesses_v3;
    default:
        return state->f.nvmlDeviceGetMPSComputeRunningProcesses_v3;
    }
}

/* All processes of the machine; the caller frees. Between two questions there may be more. */
static nvmlReturn_t list_all(list_function list, nvmlDevice_t device, nvmlProcessInfo_t **all,
                             unsigned *count)
{
    nvmlReturn_t result = NVML_ERROR_INSUFFICIENT_SIZE;
    *all = NULL;
    for (unsigned room = 64; room <= 65536 && result == NVML_ERROR_INSUFFICIENT_SIZE; room *= 4) {
        free(*all);
        *all = calloc(room, sizeof(**all));
        if (!*all)
            return NVML_ERROR_MEMORY;
        *count = room;
        result = list(device, count, *all);
    }
    return result;
}

static nvmlReturn_t find_in_library(struct wh_call *call, nvmlDevice_t device, unsigned kind,
                                    struct found *found)
{
    nvmlProcessInfo_t *all;
    unsigned count = 0;
    nvmlReturn_t result = list_all(function_for(wh_nvml_state(call), kind), device, &all, &count);
    for (unsigned i = 0; result == NVML_SUCCESS && i < count; i++) {
        const struct wh_account *account = wh_nvml_account(call, all[i].pid);
        if (account)
            add(found, &(nvmlProcessDetail_v1_t){.pid = account->client,
                                                 .usedGpuMemory = all[i].usedGpuMemory,
                                                 .gpuInstanceId = all[i].gpuInstanceId,
                                                 .computeInstanceId = all[i].computeInstanceId});
    }
    free(all);
    return result;
}

static nvmlReturn_t find(struct wh_call *call, nvmlDevice_t device, unsigned kind,
                         struct found *found)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    int index = wh_nvml_index(state, device);
    if (kind > WH_NVML_MPS)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (index < 0)
        return NVML_ERROR_NOT_FOUND;
    if (state->knows_processes)
        return find_in_library(call, device, kind, found);
    if (kind == WH_NVML_COMPUTE)
        find_in_ledger(call, index, found);
    return NVML_SUCCESS;
}

nvmlReturn_t wh_nvml_do_processes(struct wh_call *call, nvmlDevice_t device, unsigned int kind,
                                  unsigned int room, unsigned int *count,
                                  nvmlProcessDetail_v1_t *list)
{
    nvmlProcessDetail_v1_t *all = wh_call_memory(call, WH_NVML_MOST_PROCESSES * sizeof(*all));
    struct found found = {.list = all, .room = WH_NVML_MOST_PROCESSES};
    if (!count || !all)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = find(call, device, kind, &found);
    *count = found.count;
    if (list)
        memcpy(list, all, (room < found.count ? room : found.count) * sizeof(*list));
    return result;
}

/* ---- memory ---- */

/* Bytes of the device's memory that the tenant's processes use. */
static nvmlReturn_t add_up(struct wh_call *call, nvmlDevice_t device, unsigned long long *sum)
{
    nvmlProcessDetail_v1_t *all = wh_call_memory(call, WH_NVML_MOST_PROCESSES * sizeof(*all));
    struct found found = {.list = all, .room = all ? WH_NVML_MOST_PROCESSES : 0};
    nvmlReturn_t result = find(call, device, WH_NVML_COMPUTE, &found);
    *sum = 0;
    if (result != NVML_SUCCESS) /* unknown is not nothing */
        return result;
    if (wh_nvml_state(call)->knows_processes)
        (void)find(call, device, WH_NVML_MPS, &found);
    for (unsigned i = 0; i < found.count; i++)
        if (all[i].usedGpuMemory != (unsigned long long)NVML_VALUE_NOT_AVAILABLE)
            *sum += all[i].usedGpuMemory;
    return NVML_SUCCESS;
}

/* The device's total; of it, what the tenant uses, and what it could still have: what others and
 * the driver hold is neither. */
static nvmlReturn_t view_memory(struct wh_call *call, nvmlDevice_t device, nvmlMemory_t *view)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    unsigned long long used;
    nvmlReturn_t result = state->f.nvmlDeviceGetMemoryInfo(device, view);
    if (result == NVML_SUCCESS)
        result = add_up(call, device, &used);
    if (result != NVML_SUCCESS)
        return result;
    view->used = used < view->total ? used : view->total;
    if (view->free > view->total - view->used)
        view->free = view->total - view->used;
    return NVML_SUCCESS;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetMemoryInfo(struct wh_call *call, nvmlDevice_t device,
                                                nvmlMemory_t *memory)
{
    return memory ? view_memory(call, device, memory) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetMemoryInfo_v2(struct wh_call *call, nvmlDevice_t device,
                                                   nvmlMemory_v2_t *memory)
{
    const unsigned version = (unsigned)sizeof(*memory) | 2u << 24;
    nvmlMemory_t view;
    if (!memory)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (memory->version != version) /* only then is it known to be that long */
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlReturn_t result = view_memory(call, device, &view);
    if (result == NVML_SUCCESS)
        *memory = (nvmlMemory_v2_t){.version = version,
                                    .total = view.total,
                                    .reserved = view.total - view.free - view.used,
                                    .free = view.free,
                                    .used = view.used};
    return result;
}
