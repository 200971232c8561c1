/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of devices. Natively they are the same for as long as the process lives, and its forked
 * children go on with them; so each device has one handle here, the first that was given for it,
 * and in a child that stands for the device of the child's own session.
 */
#include "shim/nvml/shim.h"

#define MOST_DEVICES 64u

/* By the device's number. Written by whoever comes first; a fork may come at any time, so there is
 * no lock. */
static struct {
    _Atomic uintptr_t given;                  /* what programs have */
    _Atomic uintptr_t own;                    /* what stands for it in */
    const struct wh_session *_Atomic session; /* this one */
} devices[MOST_DEVICES];

uint64_t wh_nvml_inherited(struct wh_session *session, uint16_t type, uint64_t handle)
{
    nvmlDevice_t own = NULL;
    unsigned i = 0;
    if (type != WH_NVML_TYPE_nvmlDevice_t || handle == 0)
        return 0;
    while (i < MOST_DEVICES && atomic_load(&devices[i].given) != handle)
        i++;
    if (i == MOST_DEVICES)
        return 0;
    /* Acquire pairs with the release below: `own` is of that session. */
    if (atomic_load_explicit(&devices[i].session, memory_order_acquire) == session)
        return atomic_load(&devices[i].own);
    if (wh_nvml_call_nvmlDeviceGetHandleByIndex_v2(i, &own) != NVML_SUCCESS)
        return 0;
    atomic_store(&devices[i].own, (uintptr_t)own);
    atomic_store_explicit(&devices[i].session, session, memory_order_release);
    return (uintptr_t)own;
}

/* The handle that programs have for the device that was found. */
static nvmlReturn_t give(nvmlReturn_t result, nvmlDevice_t *device)
{
    uintptr_t given = 0;
    unsigned index = 0;
    if (result != NVML_SUCCESS)
        return result;
    result = nvmlDeviceGetIndex(*device, &index);
    if (result == NVML_SUCCESS && index < MOST_DEVICES &&
        !atomic_compare_exchange_strong(&devices[index].given, &given, (uintptr_t)*device))
        *device = (nvmlDevice_t)given;
    return result;
}

/* ---- finding one ---- */

WH_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    return give(wh_nvml_call_nvmlDeviceGetHandleByIndex_v2(index, device), device);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    return give(wh_nvml_call_nvmlDeviceGetHandleBySerial(serial, device), device);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    return give(wh_nvml_call_nvmlDeviceGetHandleByUUID(uuid, device), device);
}

WH_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
    return give(wh_nvml_call_nvmlDeviceGetHandleByPciBusId_v2(pciBusId, device), device);
}
