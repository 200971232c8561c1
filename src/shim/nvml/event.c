/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for what happens on devices (errors, changes of their clocks): the worker waits. */
#include "shim/nvml/shim.h"

WH_EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                           unsigned int timeoutms)
{
    nvmlEventData_t event = {0};
    unsigned device = 0;
    nvmlReturn_t result = wh_nvml_ready();
    if (result != NVML_SUCCESS)
        return result;
    if (!data)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = wh_nvml_call_event(set, timeoutms, &device, &event.eventType, &event.eventData,
                                &event.gpuInstanceId, &event.computeInstanceId);
    if (result == NVML_SUCCESS)
        result = nvmlDeviceGetHandleByIndex_v2(device, &event.device);
    if (result == NVML_SUCCESS)
        *data = event;
    return result;
}
