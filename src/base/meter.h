/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one process uses of one device, in memory that others read while it changes: written by
 * whoever runs the device's work (the software device), read by who tells a tenant of it. Figures
 * for people: nothing may rely on them, for a hostile worker writes what it likes.
 */
#ifndef WH_BASE_METER_H
#define WH_BASE_METER_H

#include "base/util.h"

#include <stdatomic.h>
#include <stdint.h>

#define WH_METER_PERIOD_NS 1000000000u /* busy time is told by whole seconds */

struct wh_meter {
    _Atomic uint64_t memory;   /* bytes of device memory in use */
    _Atomic uint64_t since;    /* ns: something runs since then; 0: nothing does */
    _Atomic uint64_t period;   /* the last period in which something ended, by its number */
    _Atomic uint64_t busy;     /* ns that something ran in it */
    _Atomic uint64_t before;   /* ns that something ran in the one before */
    _Atomic uint64_t contexts; /* that exist: the process is at work there, or may be */
    uint64_t reserved[2];
};

/* The part of [from, to) that lies in a period, in ns. */
static inline uint64_t wh_meter_overlap(uint64_t from, uint64_t to, uint64_t period)
{
    uint64_t start = period * WH_METER_PERIOD_NS, end = start + WH_METER_PERIOD_NS;
    from = from > start ? from : start;
    to = to < end ? to : end;
    return to > from ? to - from : 0;
}

/* How long something ran in the last whole period, in ns. The parts are read one by one: a change
 * in between shows for a moment. */
static inline uint64_t wh_meter_busy(const struct wh_meter *meter)
{
    uint64_t now = wh_now_ns(), last = now / WH_METER_PERIOD_NS - 1;
    uint64_t since = atomic_load_explicit(&meter->since, memory_order_relaxed);
    uint64_t period = atomic_load_explicit(&meter->period, memory_order_relaxed);
    uint64_t busy = since ? wh_meter_overlap(since, now, last) : 0;
    if (period == last)
        busy += atomic_load_explicit(&meter->busy, memory_order_relaxed);
    else if (period == last + 1)
        busy += atomic_load_explicit(&meter->before, memory_order_relaxed);
    return busy < WH_METER_PERIOD_NS ? busy : WH_METER_PERIOD_NS;
}

#endif
