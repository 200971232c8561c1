/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process uses of its devices, written where others can read it: as a driver in a kernel
 * knows it of all processes, and NVML tells it. Without a reader it is written to memory of its
 * own.
 */
#include "backend/softgpu/softgpu.h"

#include "base/meter.h"

static struct wh_meter unread[SOFT_MAX_DEVICES];
static struct wh_meter *_Atomic meters = unread;
static atomic_uint nmeters = SOFT_MAX_DEVICES;

static struct {
    pthread_mutex_t lock;
    unsigned running[SOFT_MAX_DEVICES];
} kernels = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Before cuInit: the first `count` devices write to these. Found by name; whoever loads the library
 * as a driver knows nothing of it. */
SOFT_API void wormhole_softgpu_meter(struct wh_meter *own, unsigned count);
SOFT_API void wormhole_softgpu_meter(struct wh_meter *own, unsigned count)
{
    atomic_store(&nmeters, count);
    atomic_store(&meters, own);
}

static struct wh_meter *meter_of(const struct soft_device *device)
{
    return (unsigned)device->ordinal < atomic_load(&nmeters)
               ? &atomic_load(&meters)[device->ordinal]
               : NULL;
}

void soft_meter_memory(const struct soft_device *device)
{
    struct wh_meter *meter = meter_of(device);
    if (meter)
        atomic_store_explicit(&meter->memory, device->used, memory_order_relaxed);
}

void soft_meter_contexts(const struct soft_device *device, int change)
{
    struct wh_meter *meter = meter_of(device);
    if (meter)
        atomic_fetch_add_explicit(&meter->contexts, (uint64_t)(int64_t)change,
                                  memory_order_relaxed);
}

/* Time from `since` to now goes to the two periods that are told. Lock held. */
static void add_busy(struct wh_meter *meter, uint64_t since, uint64_t now)
{
    uint64_t period = now / WH_METER_PERIOD_NS, last = atomic_load(&meter->period);
    uint64_t busy = last == period ? atomic_load(&meter->busy) : 0, before = 0;
    if (last == period)
        before = atomic_load(&meter->before);
    else if (last + 1 == period)
        before = atomic_load(&meter->busy);
    atomic_store(&meter->before, before + wh_meter_overlap(since, now, period - 1));
    atomic_store(&meter->busy, busy + wh_meter_overlap(since, now, period));
    atomic_store(&meter->period, period);
}

void soft_meter_kernels(const struct soft_device *device, int change)
{
    struct wh_meter *meter = meter_of(device);
    if (!meter)
        return;
    pthread_mutex_lock(&kernels.lock);
    unsigned *running = &kernels.running[device->ordinal];
    uint64_t now = wh_now_ns();
    if (change > 0 && (*running)++ == 0) {
        atomic_store(&meter->since, now);
    } else if (change < 0 && --*running == 0) {
        add_busy(meter, atomic_load(&meter->since), now);
        atomic_store(&meter->since, 0);
    }
    pthread_mutex_unlock(&kernels.lock);
}
