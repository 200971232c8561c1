/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists whose length goes in and out, as messages: how many there are, and as many of them as fit.
 * Used by the worker's dispatch.
 */
#include "backend/nvml/backend.h"

#include <stdlib.h>
#include <string.h>

/* ---- shares of the time ---- */

/* The tenant's share of the last second, by the ledger: where the library does not know. */
static unsigned share_of(const struct wh_meter *meter)
{
    return (unsigned)(wh_meter_busy(meter) / (WH_METER_PERIOD_NS / 100));
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetUtilizationRates(struct wh_call *call, nvmlDevice_t device,
                                                      nvmlUtilization_t *utilization)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    const struct wh_ledger *ledger = &call->worker->ledger;
    int index = wh_nvml_index(state, device);
    unsigned sum = 0;
    if (!utilization || index < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (state->knows_processes)
        return state->f.nvmlDeviceGetUtilizationRates(device, utilization);
    for (size_t i = 0; i < ledger->count && index < (int)WH_LEDGER_DEVICES; i++)
        if (atomic_load_explicit(&ledger->accounts[i].session, memory_order_acquire))
            sum += share_of(&ledger->accounts[i].meters[index]);
    *utilization = (nvmlUtilization_t){.gpu = sum < 100 ? sum : 100};
    return NVML_SUCCESS;
}

static void add_sample(nvmlProcessUtilizationInfo_v1_t *list, unsigned room, unsigned *count,
                       const nvmlProcessUtilizationInfo_v1_t *sample)
{
    if (*count < room)
        list[*count] = *sample;
    ++*count;
}

static nvmlReturn_t samples_of_ledger(struct wh_call *call, int device, unsigned room,
                                      unsigned *count, nvmlProcessUtilizationInfo_v1_t *list)
{
    const struct wh_ledger *ledger = &call->worker->ledger;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < ledger->count && device < (int)WH_LEDGER_DEVICES; i++) {
        const struct wh_account *account = &ledger->accounts[i];
        if (atomic_load_explicit(&account->session, memory_order_acquire) &&
            atomic_load_explicit(&account->meters[device].contexts, memory_order_relaxed))
            add_sample(list, room, count,
                       &(nvmlProcessUtilizationInfo_v1_t){
                           .timeStamp = (unsigned long long)now.tv_sec * 1000000 +
                                        (unsigned long long)now.tv_nsec / 1000,
                           .pid = account->client,
                           .smUtil = share_of(&account->meters[device])});
    }
    return *count ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

static nvmlReturn_t samples_of_library(struct wh_call *call, nvmlDevice_t device,
                                       unsigned long long last_seen, unsigned room, unsigned *count,
                                       nvmlProcessUtilizationInfo_v1_t *list)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    unsigned n = 0;
    nvmlReturn_t result = state->f.nvmlDeviceGetProcessUtilization(device, NULL, &n, last_seen);
    nvmlProcessUtilizationSample_t *all = NULL;
    if (result == NVML_ERROR_INSUFFICIENT_SIZE && n <= 65536) {
        n += 16; /* some may come in between */
        all = calloc(n, sizeof(*all));
        result = all ? state->f.nvmlDeviceGetProcessUtilization(device, all, &n, last_seen)
                     : NVML_ERROR_MEMORY;
    }
    for (unsigned i = 0; result == NVML_SUCCESS && all && i < n; i++) {
        const struct wh_account *account = wh_nvml_account(call, all[i].pid);
        if (account)
            add_sample(list, room, count,
                       &(nvmlProcessUtilizationInfo_v1_t){.timeStamp = all[i].timeStamp,
                                                          .pid = account->client,
                                                          .smUtil = all[i].smUtil,
                                                          .memUtil = all[i].memUtil,
                                                          .encUtil = all[i].encUtil,
                                                          .decUtil = all[i].decUtil});
    }
    free(all);
    return result == NVML_SUCCESS && *count == 0 ? NVML_ERROR_NOT_FOUND : result;
}

nvmlReturn_t wh_nvml_do_process_utilization(struct wh_call *call, nvmlDevice_t device,
                                            unsigned long long last_seen, unsigned int room,
                                            unsigned int *count,
                                            nvmlProcessUtilizationInfo_v1_t *list)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    int index = wh_nvml_index(state, device);
    if (!count || index < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    room = list ? room : 0;
    return state->knows_processes ? samples_of_library(call, device, last_seen, room, count, list)
                                  : samples_of_ledger(call, index, room, count, list);
}

/* ---- fields, clocks, samples ---- */

nvmlReturn_t wh_nvml_do_field_values(struct wh_call *call, nvmlDevice_t device, unsigned int count,
                                     const nvmlFieldValue_t *asked, nvmlFieldValue_t *answers)
{
    if (!asked || !answers || count == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    memcpy(answers, asked, count * sizeof(*answers));
    return wh_nvml_state(call)->f.nvmlDeviceGetFieldValues(device, (int)count, answers);
}

/* What the library says of a list that did not fit: the program hears of it from `count`. */
static nvmlReturn_t fit(nvmlReturn_t result)
{
    return result == NVML_ERROR_INSUFFICIENT_SIZE ? NVML_SUCCESS : result;
}

nvmlReturn_t wh_nvml_do_supported_memory_clocks(struct wh_call *call, nvmlDevice_t device,
                                                unsigned int room, unsigned int *count,
                                                unsigned int *clocks)
{
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = clocks ? room : 0;
    return fit(wh_nvml_state(call)->f.nvmlDeviceGetSupportedMemoryClocks(device, count, clocks));
}

nvmlReturn_t wh_nvml_do_supported_graphics_clocks(struct wh_call *call, nvmlDevice_t device,
                                                  unsigned int memory_clock, unsigned int room,
                                                  unsigned int *count, unsigned int *clocks)
{
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = clocks ? room : 0;
    return fit(wh_nvml_state(call)->f.nvmlDeviceGetSupportedGraphicsClocks(device, memory_clock,
                                                                           count, clocks));
}

nvmlReturn_t wh_nvml_do_samples(struct wh_call *call, nvmlDevice_t device, nvmlSamplingType_t type,
                                unsigned long long last_seen, unsigned int room,
                                nvmlValueType_t *value_type, unsigned int *count,
                                nvmlSample_t *samples)
{
    if (!value_type || !count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = samples ? room : 0;
    return wh_nvml_state(call)->f.nvmlDeviceGetSamples(device, type, last_seen, value_type, count,
                                                       samples);
}

/* With times or without: the program's function is the one that is asked. */
nvmlReturn_t wh_nvml_do_retired_pages(struct wh_call *call, nvmlDevice_t device,
                                      nvmlPageRetirementCause_t cause, unsigned int room,
                                      unsigned int *count, unsigned long long *addresses,
                                      unsigned long long *timestamps)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = addresses ? room : 0;
    if (timestamps)
        return fit(
            state->f.nvmlDeviceGetRetiredPages_v2(device, cause, count, addresses, timestamps));
    return fit(state->f.nvmlDeviceGetRetiredPages(device, cause, count, addresses));
}
