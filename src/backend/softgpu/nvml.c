/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management library of the software device: what NVML says of a GPU, as far as a CPU has it.
 * Figures that only hardware has (clocks, temperatures, power, fans, links, ECC) are not there:
 * whoever looks finds no such function. It is loaded from the same library as the driver, and knows
 * of this process only; who else uses the device is known to whoever keeps the meters (meter.c).
 */
#include "backend/softgpu/softgpu.h"

#include "nvml_types.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_uint initialised;

/* ---- the library ---- */

SOFT_API nvmlReturn_t nvmlInit_v2(void)
{
    if (cuInit(0) != CUDA_SUCCESS)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    atomic_fetch_add(&initialised, 1);
    return NVML_SUCCESS;
}

SOFT_API nvmlReturn_t nvmlShutdown(void)
{
    unsigned before = atomic_load(&initialised);
    while (before > 0)
        if (atomic_compare_exchange_weak(&initialised, &before, before - 1))
            return NVML_SUCCESS;
    return NVML_ERROR_UNINITIALIZED;
}

static nvmlReturn_t give_text(char *to, unsigned size, const char *text)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!to)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (size <= strlen(text))
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(to, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

SOFT_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    return give_text(version, length, WH_VERSION);
}

SOFT_API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    return give_text(version, length, "13." WH_VERSION);
}

SOFT_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return version && cuDriverGetVersion(version) == CUDA_SUCCESS ? NVML_SUCCESS
                                                                  : NVML_ERROR_INVALID_ARGUMENT;
}

/* ---- devices ---- */

/* A handle is the device's own address. */
static struct soft_device *find(nvmlDevice_t handle)
{
    for (int i = 0; i < soft.ndevices; i++)
        if ((void *)handle == (void *)&soft.devices[i])
            return &soft.devices[i];
    return NULL;
}

/* What every question about a device begins with. */
static nvmlReturn_t enter(nvmlDevice_t handle, const void *place, struct soft_device **device)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    *device = find(handle);
    return place && *device ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

static nvmlReturn_t give_number(nvmlDevice_t handle, unsigned *place, int attribute)
{
    struct soft_device *device;
    int value = 0;
    nvmlReturn_t result = enter(handle, place, &device);
    if (result != NVML_SUCCESS)
        return result;
    if (!soft_device_attribute(device, attribute, &value))
        return NVML_ERROR_NOT_SUPPORTED;
    *place = (unsigned)value;
    return NVML_SUCCESS;
}

static nvmlReturn_t give_constant(nvmlDevice_t handle, void *place, int32_t value)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, place, &device);
    if (result == NVML_SUCCESS)
        memcpy(place, &value, sizeof(value));
    return result;
}

SOFT_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = (unsigned)soft.ndevices;
    return NVML_SUCCESS;
}

SOFT_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *handle)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!handle || index >= (unsigned)soft.ndevices)
        return NVML_ERROR_INVALID_ARGUMENT;
    *handle = (nvmlDevice_t)(void *)&soft.devices[index];
    return NVML_SUCCESS;
}

static void print_uuid(const struct soft_device *device, char text[48])
{
    CUuuid uuid = {0};
    (void)cuDeviceGetUuid_v2(&uuid, device->ordinal);
    const unsigned char *b = (const unsigned char *)uuid.bytes;
    (void)snprintf(text, 48,
                   "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}

SOFT_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *handle)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!uuid || !handle)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (int i = 0; i < soft.ndevices; i++) {
        char text[48];
        print_uuid(&soft.devices[i], text);
        if (strcmp(text, uuid) == 0)
            return nvmlDeviceGetHandleByIndex_v2((unsigned)i, handle);
    }
    return NVML_ERROR_NOT_FOUND;
}

SOFT_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus, nvmlDevice_t *handle)
{
    CUdevice device;
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!bus || !handle)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (cuDeviceGetByPCIBusId(&device, bus) != CUDA_SUCCESS)
        return NVML_ERROR_NOT_FOUND;
    return nvmlDeviceGetHandleByIndex_v2((unsigned)device, handle);
}

SOFT_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t handle, char *name, unsigned length)
{
    struct soft_device *device;
    char text[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    nvmlReturn_t result = enter(handle, name, &device);
    if (result != NVML_SUCCESS)
        return result;
    (void)cuDeviceGetName(text, sizeof(text), device->ordinal);
    return give_text(name, length, text);
}

SOFT_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *uuid, unsigned length)
{
    struct soft_device *device;
    char text[48];
    nvmlReturn_t result = enter(handle, uuid, &device);
    if (result != NVML_SUCCESS)
        return result;
    print_uuid(device, text);
    return give_text(uuid, length, text);
}

static nvmlReturn_t give_ordinal(nvmlDevice_t handle, unsigned *place)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, place, &device);
    if (result == NVML_SUCCESS)
        *place = (unsigned)device->ordinal;
    return result;
}

SOFT_API nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t handle, unsigned *index)
{
    return give_ordinal(handle, index);
}

SOFT_API nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t handle, unsigned *minor)
{
    return give_ordinal(handle, minor);
}

SOFT_API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t handle, nvmlPciInfo_t *pci)
{
    unsigned bus = 0, slot = 0;
    nvmlReturn_t result = give_number(handle, pci ? &bus : NULL, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
    if (result == NVML_SUCCESS)
        result = give_number(handle, &slot, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
    if (result != NVML_SUCCESS)
        return result;
    *pci = (nvmlPciInfo_t){.bus = bus, .device = slot}; /* nobody made it: no ids of a vendor */
    (void)snprintf(pci->busId, sizeof(pci->busId), "00000000:%02X:%02X.0", bus & 0xff, slot & 0xff);
    (void)snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), "0000:%02X:%02X.0", bus & 0xff,
                   slot & 0xff);
    return NVML_SUCCESS;
}

/* ---- what a device has ---- */

SOFT_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t *memory)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, memory, &device);
    if (result != NVML_SUCCESS)
        return result;
    pthread_mutex_lock(&device->lock);
    *memory = (nvmlMemory_t){
        .total = device->total, .free = device->total - device->used, .used = device->used};
    pthread_mutex_unlock(&device->lock);
    return NVML_SUCCESS;
}

SOFT_API nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t handle, int *major,
                                                         int *minor)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, major && minor ? major : NULL, &device);
    if (result == NVML_SUCCESS)
        (void)cuDeviceComputeCapability(major, minor, device->ordinal);
    return result;
}

SOFT_API nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t handle, unsigned *cores)
{
    return give_number(handle, cores, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
}

SOFT_API nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t handle, unsigned *width)
{
    return give_number(handle, width, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
}

SOFT_API nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t handle, nvmlComputeMode_t *mode)
{
    return give_constant(handle, mode, NVML_COMPUTEMODE_DEFAULT);
}

SOFT_API nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t handle, nvmlBrandType_t *brand)
{
    return give_constant(handle, brand, NVML_BRAND_UNKNOWN);
}

SOFT_API nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t handle,
                                                nvmlDeviceArchitecture_t *architecture)
{
    return give_constant(handle, architecture, (int32_t)NVML_DEVICE_ARCH_UNKNOWN);
}

SOFT_API nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t handle, nvmlBusType_t *type)
{
    return give_constant(handle, type, NVML_BUS_TYPE_UNKNOWN);
}

SOFT_API nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t handle, nvmlEnableState_t *mode)
{
    return give_constant(handle, mode, NVML_FEATURE_DISABLED);
}

SOFT_API nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t handle, nvmlEnableState_t *active)
{
    return give_constant(handle, active, NVML_FEATURE_DISABLED);
}

SOFT_API nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t handle, nvmlEnableState_t *mode)
{
    return give_constant(handle, mode, NVML_FEATURE_DISABLED);
}

SOFT_API nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t handle, unsigned *several)
{
    return give_constant(handle, several, 0);
}

SOFT_API nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t handle, unsigned *is)
{
    return give_constant(handle, is, 0);
}

SOFT_API nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t handle,
                                                      nvmlGpuVirtualizationMode_t *mode)
{
    return give_constant(handle, mode, NVML_GPU_VIRTUALIZATION_MODE_NONE);
}

/* ---- events, of which there are none ---- */

struct nvmlEventSet_st {
    char nothing;
};

SOFT_API nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    if (!atomic_load(&initialised))
        return NVML_ERROR_UNINITIALIZED;
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    *set = calloc(1, sizeof(**set));
    return *set ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

SOFT_API nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t handle,
                                                       unsigned long long *types)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, types, &device);
    if (result == NVML_SUCCESS)
        *types = 0;
    return result;
}

SOFT_API nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t handle, unsigned long long types,
                                               nvmlEventSet_t set)
{
    struct soft_device *device;
    nvmlReturn_t result = enter(handle, set, &device);
    return result == NVML_SUCCESS && types != 0 ? NVML_ERROR_NOT_SUPPORTED : result;
}

SOFT_API nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                          unsigned timeout)
{
    struct timespec left = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000};
    if (!set || !data)
        return NVML_ERROR_INVALID_ARGUMENT;
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    return NVML_ERROR_TIMEOUT;
}

SOFT_API nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    free(set);
    return NVML_SUCCESS;
}
