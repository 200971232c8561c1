/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: what they are called, where they seem to sit, how much they hold. Linked into the
 * worker's callee, too (callee.h): nothing here may need the C library's formatting.
 */
#include "backend/softgpu/softgpu.h"

#include <stdio.h>
#include <string.h>

struct soft_device *soft_device_get(CUdevice device)
{
    struct soft_driver *driver = soft_driver();
    return device >= 0 && device < driver->ndevices ? &driver->devices[device] : NULL;
}

SOFT_API CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = SOFT_CUDA_VERSION;
    return CUDA_SUCCESS;
}

/* What the calls below begin with. */
static CUresult enter(const void *result, CUdevice device)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!result)
        return CUDA_ERROR_INVALID_VALUE;
    return soft_device_get(device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

SOFT_API CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    CUresult result = enter(device, ordinal);
    if (result == CUDA_SUCCESS)
        *device = ordinal;
    return result;
}

SOFT_API CUresult cuDeviceGetCount(int *count)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = soft_driver()->ndevices;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    CUresult result = enter(name, device);
    if (result != CUDA_SUCCESS)
        return result;
    if (size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    static const char text[] = "Wormhole software CUDA device";
    size_t length = sizeof(text) <= (size_t)size ? sizeof(text) : (size_t)size;
    memcpy(name, text, length);
    name[length - 1] = '\0';
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    static const unsigned char prefix[15] = {0x57, 0x6f, 0x72, 0x6d, 0x68, 0x6f, 0x6c, 0x65,
                                             0x73, 0x6f, 0x66, 0x74, 0x67, 0x70, 0x75};
    CUresult result = enter(uuid, device);
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(uuid->bytes, prefix, sizeof(prefix));
    uuid->bytes[15] = (char)device;
    return CUDA_SUCCESS;
}
SOFT_ALIAS(cuDeviceGetUuid, cuDeviceGetUuid_v2);

SOFT_API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CUresult result = enter(bytes, device);
    if (result == CUDA_SUCCESS)
        *bytes = soft_device_get(device)->total;
    return result;
}

SOFT_API CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    CUresult result = enter(value, device);
    if (result != CUDA_SUCCESS)
        return result;
    return soft_device_attribute(soft_device_get(device), (int)attribute, value)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

SOFT_API CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    CUresult result = enter(major && minor ? major : NULL, device);
    if (result != CUDA_SUCCESS)
        return result;
    soft_device_attribute(soft_device_get(device), CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                          major);
    soft_device_attribute(soft_device_get(device), CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                          minor);
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetPCIBusId(char *text, int size, CUdevice device)
{
    CUresult result = enter(text, device);
    if (result != CUDA_SUCCESS)
        return result;
    int bus;
    soft_device_attribute(soft_device_get(device), CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, &bus);
    if (size < 13)
        return CUDA_ERROR_INVALID_VALUE;
    static const char digits[] = "0123456789ABCDEF";
    memcpy(text, "0000:00:00.0", sizeof("0000:00:00.0"));
    text[5] = digits[bus >> 4 & 15];
    text[6] = digits[bus & 15];
    return CUDA_SUCCESS;
}

/* "domain:bus:device.function", "domain:bus:device" or "bus:device.function", all in hex. */
static bool parse_bus_id(const char *text, unsigned *bus)
{
    unsigned domain = 0, slot = 0, function = 0;
    if (sscanf(text, "%x:%x:%x.%x", &domain, bus, &slot, &function) < 3) {
        domain = 0;
        if (sscanf(text, "%x:%x.%x", bus, &slot, &function) != 3)
            return false;
    }
    return domain == 0 && slot == 0 && function == 0;
}

SOFT_API CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *text)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    unsigned wanted;
    if (!device || !text)
        return CUDA_ERROR_INVALID_VALUE;
    if (!parse_bus_id(text, &wanted))
        return CUDA_ERROR_INVALID_DEVICE;
    for (int i = 0; i < soft_driver()->ndevices; i++) {
        int bus;
        soft_device_attribute(&soft_driver()->devices[i], CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, &bus);
        if ((unsigned)bus == wanted) {
            *device = i;
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_INVALID_DEVICE;
}

SOFT_API CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type,
                                                 CUdevice device)
{
    CUresult result = enter(supported, device);
    if (result != CUDA_SUCCESS)
        return result;
    if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        return CUDA_ERROR_INVALID_VALUE;
    *supported = 0;
    return CUDA_SUCCESS;
}

/* ---- what the older property call says ---- */

SOFT_API CUresult cuDeviceGetProperties(CUdevprop *properties, CUdevice number)
{
    CUresult result = enter(properties, number);
    if (result != CUDA_SUCCESS)
        return result;
    *properties = (CUdevprop){
        .maxThreadsPerBlock = SOFT_BLOCK_THREADS,
        .maxThreadsDim = {1024, 1024, 64},
        .maxGridSize = {INT32_MAX, 65535, 65535},
        .sharedMemPerBlock = SOFT_BLOCK_SHARED,
        .totalConstantMemory = 65536,
        .SIMDWidth = SOFT_WARP,
        .memPitch = INT32_MAX,
        .regsPerBlock = SOFT_SM_REGISTERS,
    };
    soft_device_attribute(soft_device_get(number), CU_DEVICE_ATTRIBUTE_CLOCK_RATE,
                          &properties->clockRate);
    soft_device_attribute(soft_device_get(number), CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT,
                          &properties->textureAlign);
    return CUDA_SUCCESS;
}
