/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processors and which memory are near to a device. The server knows that of its own machine;
 * elsewhere, in a guest, the same numbers are other processors, and there it is not supported.
 */
#include "shim/nvml/shim.h"

static nvmlReturn_t same_machine(void)
{
    nvmlReturn_t ready = wh_nvml_ready();
    struct wh_session *session = ready == NVML_SUCCESS ? wh_nvml_session() : NULL;
    if (ready != NVML_SUCCESS)
        return ready;
    if (!session)
        return NVML_ERROR_GPU_IS_LOST;
    return wh_session_channel(session)->same_machine ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int cpuSetSize,
                                                unsigned long *cpuSet)
{
    nvmlReturn_t result = same_machine();
    return result == NVML_SUCCESS
               ? wh_nvml_call_nvmlDeviceGetCpuAffinity(device, cpuSetSize, cpuSet)
               : result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device,
                                                           unsigned int cpuSetSize,
                                                           unsigned long *cpuSet,
                                                           nvmlAffinityScope_t scope)
{
    nvmlReturn_t result = same_machine();
    return result == NVML_SUCCESS
               ? wh_nvml_call_nvmlDeviceGetCpuAffinityWithinScope(device, cpuSetSize, cpuSet, scope)
               : result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int nodeSetSize,
                                                   unsigned long *nodeSet,
                                                   nvmlAffinityScope_t scope)
{
    nvmlReturn_t result = same_machine();
    return result == NVML_SUCCESS
               ? wh_nvml_call_nvmlDeviceGetMemoryAffinity(device, nodeSetSize, nodeSet, scope)
               : result;
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t device, unsigned int *node)
{
    nvmlReturn_t result = same_machine();
    return result == NVML_SUCCESS ? wh_nvml_call_nvmlDeviceGetNumaNodeId(device, node) : result;
}
