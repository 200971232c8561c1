/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices there are: those of the session's CUDA, by its numbers; see backend.h. */
#include "backend/nvml/backend.h"

int wh_nvml_index(const struct wh_nvml_state *state, nvmlDevice_t device)
{
    for (unsigned i = 0; i < state->ndevices; i++)
        if (state->devices[i] == device)
            return (int)i;
    return -1;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetCount_v2(struct wh_call *call, unsigned int *deviceCount)
{
    if (!deviceCount)
        return NVML_ERROR_INVALID_ARGUMENT;
    *deviceCount = wh_nvml_state(call)->ndevices;
    return NVML_SUCCESS;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetHandleByIndex_v2(struct wh_call *call, unsigned int index,
                                                      nvmlDevice_t *device)
{
    const struct wh_nvml_state *state = wh_nvml_state(call);
    if (!device || index >= state->ndevices)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = state->devices[index];
    return NVML_SUCCESS;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetIndex(struct wh_call *call, nvmlDevice_t device,
                                           unsigned int *index)
{
    int number = wh_nvml_index(wh_nvml_state(call), device);
    if (!index || number < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    *index = (unsigned)number;
    return NVML_SUCCESS;
}

/* A device that the server's CUDA does not show is not there. */
static nvmlReturn_t filter(struct wh_call *call, nvmlReturn_t result, nvmlDevice_t *device)
{
    if (result != NVML_SUCCESS || wh_nvml_index(wh_nvml_state(call), *device) >= 0)
        return result;
    *device = NULL;
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetHandleBySerial(struct wh_call *call, const char *serial,
                                                    nvmlDevice_t *device)
{
    if (!serial || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    return filter(call, wh_nvml_state(call)->f.nvmlDeviceGetHandleBySerial(serial, device), device);
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetHandleByUUID(struct wh_call *call, const char *uuid,
                                                  nvmlDevice_t *device)
{
    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    return filter(call, wh_nvml_state(call)->f.nvmlDeviceGetHandleByUUID(uuid, device), device);
}

nvmlReturn_t wh_nvml_do_nvmlDeviceGetHandleByPciBusId_v2(struct wh_call *call, const char *pciBusId,
                                                         nvmlDevice_t *device)
{
    if (!pciBusId || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    return filter(call, wh_nvml_state(call)->f.nvmlDeviceGetHandleByPciBusId_v2(pciBusId, device),
                  device);
}
