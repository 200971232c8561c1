/* SPDX-License-Identifier: Apache-2.0 */
/* How long kernels run on a device, for those who read meter.c's meters. */
#include "backend/softgpu/softgpu.h"

#include "base/meter.h"

static struct {
    pthread_mutex_t lock;
    unsigned running[SOFT_MAX_DEVICES];
} kernels = {.lock = PTHREAD_MUTEX_INITIALIZER};

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
    struct wh_meter *meter = soft_meter_of(device);
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
