/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process uses of its devices, written where others can read it: as a driver in a kernel
 * knows it of all processes, and NVML tells it. Without a reader nothing is written.
 */
#include "backend/softgpu/softgpu.h"

#include "base/meter.h"

/* Before cuInit: the first `count` devices write to these. Found by name; whoever loads the library
 * as a driver knows nothing of it. */
SOFT_API void wormhole_softgpu_meter(struct wh_meter *own, unsigned count);
SOFT_API void wormhole_softgpu_meter(struct wh_meter *own, unsigned count)
{
    atomic_store(&soft.nmeters, count);
    atomic_store(&soft.meters, own);
}

struct wh_meter *soft_meter_of(const struct soft_device *device)
{
    struct soft_driver *driver = soft_driver();
    return (unsigned)device->ordinal < atomic_load(&driver->nmeters)
               ? &atomic_load(&driver->meters)[device->ordinal]
               : NULL;
}

void soft_meter_memory(const struct soft_device *device)
{
    struct wh_meter *meter = soft_meter_of(device);
    if (meter)
        atomic_store_explicit(&meter->memory, device->used, memory_order_relaxed);
}

void soft_meter_contexts(const struct soft_device *device, int change)
{
    struct wh_meter *meter = soft_meter_of(device);
    if (meter)
        atomic_fetch_add_explicit(&meter->contexts, (uint64_t)(int64_t)change,
                                  memory_order_relaxed);
}
