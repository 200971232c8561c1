/* SPDX-License-Identifier: Apache-2.0 */
/* Initialisation: the devices are made, with their memory and primary contexts. */
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
                           .slots.lock = PTHREAD_MUTEX_INITIALIZER,
                           .ends = {[SOFT_STREAM] = soft_stream_end,
                                    [SOFT_EVENT] = soft_event_end,
                                    [SOFT_ARRAY] = soft_array_end,
                                    [SOFT_TEXTURE] = soft_texture_end,
                                    [SOFT_FUNCTION] = soft_function_end}};

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
