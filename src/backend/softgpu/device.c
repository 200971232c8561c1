/* SPDX-License-Identifier: Apache-2.0 */
/* Initialisation and devices: what they are called, where they seem to sit, how much they hold. */
#include "backend/softgpu/softgpu.h"

#include "backend/softgpu/memory.h"
#include "backend/softgpu/queue.h"
#include "base/cores.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)

struct soft_driver soft = {.map.lock = PTHREAD_RWLOCK_INITIALIZER,
                           .slots.lock = PTHREAD_MUTEX_INITIALIZER};

struct soft_driver *soft_driver(void)
{
    return &soft;
}

const struct wh_soft_memory *soft_memory_of(struct soft_context *context)
{
    return &context->memory;
}

/* ---- initialisation ---- */

/* In a forked child the threads that run streams are gone: as with CUDA, the driver is of no use.
 */
static void forget(void)
{
    atomic_store(&soft.forked, atomic_load(&soft.ready));
}

static int count_devices(void)
{
    const char *text = getenv("WORMHOLE_SOFTGPU_DEVICES");
    int n = text ? atoi(text) : 1;
    return n < 0 ? 0 : n > SOFT_MAX_DEVICES ? SOFT_MAX_DEVICES : n;
}

/* Half of the machine's memory, at most 4 GiB, unless said otherwise. */
static uint64_t device_memory(void)
{
    const char *text = getenv("WORMHOLE_SOFTGPU_MEMORY");
    uint64_t size;
    if (text && wh_parse_size(text, &size) == 0 && size >= (1 << 20) && size <= (UINT64_C(1) << 40))
        return wh_round_up(size, 1 << 20);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t half = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 2 : GIB;
    return half < 4 * GIB ? half & ~(uint64_t)((1 << 20) - 1) : 4 * GIB;
}

/*
 * Addresses are reserved for twice the memory, so that holes between allocations do not end it.
 * They are wished for where programs have nothing of their own, below libraries and heaps: a
 * program in another process that holds these numbers tells them from its own pointers.
 */
static void *reserve(struct soft_device *device)
{
    static uint64_t wish = UINT64_C(0x3000000000);
    device->reserve = 2 * device->total;
    device->memory = memfd_create("wormhole-softgpu", MFD_CLOEXEC);
    if (device->memory < 0 || ftruncate(device->memory, (off_t)device->reserve) < 0)
        return MAP_FAILED;
    void *base = mmap((void *)(uintptr_t)wish, device->reserve, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, device->memory, 0);
    wish += device->reserve;
    return base;
}

static bool start_device(struct soft_device *device, int ordinal)
{
    device->ordinal = ordinal;
    pthread_mutex_init(&device->lock, NULL);
    device->total = device_memory();
    void *base = reserve(device);
    if (base == MAP_FAILED)
        return false;
    (void)madvise(base, device->reserve, MADV_DONTDUMP);
    device->base = (uint64_t)(uintptr_t)base;
    device->primary = soft_context_make(device);
    if (!device->primary)
        return false;
    device->primary->primary = true;
    device->near_size = device->total / 2 < SOFT_NEAR_BYTES ? device->total / 2 : SOFT_NEAR_BYTES;
    return soft_space_give(&device->near, device->base, device->near_size) &&
           soft_space_give(&device->space, device->base + device->near_size,
                           device->reserve - device->near_size) &&
           soft_pool_start(device);
}

static CUresult make_devices(void)
{
    soft.multiprocessors = wh_cores();
    soft.ndevices = count_devices();
    for (int i = 0; i < soft.ndevices; i++)
        if (!start_device(&soft.devices[i], i))
            return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_atfork(NULL, NULL, forget);
    return soft.ndevices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult soft_start(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static CUresult result = CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&lock);
    if (result == CUDA_ERROR_NOT_INITIALIZED)
        result = make_devices();
    pthread_mutex_unlock(&lock);
    return result;
}

SOFT_API CUresult cuInit(unsigned flags)
{
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&soft.forked))
        return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = soft_start();
    if (result == CUDA_SUCCESS)
        atomic_store(&soft.ready, true);
    return result;
}

CUresult soft_ready(void)
{
    if (!atomic_load(&soft.ready) || atomic_load(&soft.forked))
        return CUDA_ERROR_NOT_INITIALIZED;
    return soft_in_callback() ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

SOFT_API CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = SOFT_CUDA_VERSION;
    return CUDA_SUCCESS;
}

/* ---- devices ---- */

struct soft_device *soft_device_get(CUdevice device)
{
    return device >= 0 && device < soft.ndevices ? &soft.devices[device] : NULL;
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
    *count = soft.ndevices;
    return CUDA_SUCCESS;
}

SOFT_API CUresult cuDeviceGetName(char *name, int size, CUdevice device)
{
    CUresult result = enter(name, device);
    if (result != CUDA_SUCCESS)
        return result;
    if (size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    (void)snprintf(name, (size_t)size, "Wormhole software CUDA device");
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
    (void)snprintf(text, (size_t)size, "0000:%02X:00.0", (unsigned)bus & 0xff);
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
    for (int i = 0; i < soft.ndevices; i++) {
        int bus;
        soft_device_attribute(&soft.devices[i], CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, &bus);
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
