/* SPDX-License-Identifier: Apache-2.0 */
/* What happens on devices, for whoever registered for it. Used by the worker's dispatch. */
#include "backend/nvml/backend.h"

nvmlReturn_t wh_nvml_do_event(struct wh_call *call, nvmlEventSet_t set, unsigned int timeout,
                              unsigned int *device, unsigned long long *type,
                              unsigned long long *data, unsigned int *gpu_instance,
                              unsigned int *compute_instance)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    nvmlEventData_t event = {0};
    if (!set || !device || !type || !data || !gpu_instance || !compute_instance)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result = state->f.nvmlEventSetWait_v2(set, &event, timeout);
    if (result != NVML_SUCCESS)
        return result;
    int index = wh_nvml_index(state, event.device);
    if (index < 0) /* nobody could register for it */
        return NVML_ERROR_UNKNOWN;
    *device = (unsigned)index;
    *type = event.eventType;
    *data = event.eventData;
    *gpu_instance = event.gpuInstanceId;
    *compute_instance = event.computeInstanceId;
    return NVML_SUCCESS;
}
