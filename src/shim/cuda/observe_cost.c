/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the events around a piece of work to the time that the device worked: what lies between is
 * the time that the device had nothing to do, for the driver was not given the work yet, and the
 * time that the events themselves take. Called by observe_work.c.
 */
#include "shim/cuda/observe_cost.h"

#include "shim/cuda/stage.h"

#include <math.h>
#include <stdlib.h>

#define MOST_USUAL_LAG 10000.0 /* ns */

double *wh_observed_of_stream(struct wh_observed_streams *streams, CUstream stream, double first)
{
    unsigned i = 0;
    while (i < streams->n && streams->of[i].stream != stream)
        i++;
    if (i == sizeof(streams->of) / sizeof(streams->of[0]))
        return NULL;
    if (i == streams->n) {
        streams->of[i].stream = stream;
        streams->of[i].time = first;
        streams->n++;
    }
    return &streams->of[i].time;
}

void wh_observed_times(struct wh_cuda_work *work, const wh_cuda_moment *before,
                       const wh_cuda_moment *behind)
{
    work->begin = work->base->device + before->milliseconds * 1e6;
    work->end = work->base->device + behind->milliseconds * 1e6;
    work->taken = (double)before->end;
    work->next_taken = (double)behind->begin;
}

/* A copy of several pieces begins with the first. */
static bool is_one_piece(const struct wh_cuda_work *work)
{
    return work->told.what != WH_OBSERVE_COPIES || work->told.copy.bytes <= WH_CUDA_BIG;
}

/* How long after the driver had taken an event the device came to it, and a difference of the two
 * sides' clocks, which is always the same. */
static double lag_of(const struct wh_cuda_clock *clock, double device, double taken)
{
    return wh_cuda_clock_convert(clock, device) - taken;
}

/* The least lag of all, and of the works of each stream: an idle device takes a few microseconds
 * longer to come to some streams than to the context's own. */
struct lags {
    double least;
    struct wh_observed_streams streams;
};

static double *least_of_stream(struct lags *lags, CUstream stream)
{
    double *least = wh_observed_of_stream(&lags->streams, stream, INFINITY);
    return least ? least : &lags->least;
}

static void find_lags(const struct wh_cuda_clock *clock, const struct wh_cuda_work *work,
                      struct lags *lags)
{
    double last = lag_of(clock, clock->last.device, clock->last.recorded);
    lags->least = lag_of(clock, clock->first.device, clock->first.recorded);
    lags->least = last < lags->least ? last : lags->least;
    for (; work; work = work->next) {
        if (work->wait)
            continue;
        double *of_stream = least_of_stream(lags, work->stream);
        double lag = lag_of(clock, work->begin, work->taken);
        *of_stream = lag < *of_stream ? lag : *of_stream;
        lags->least = lag < lags->least ? lag : lags->least;
    }
}

/* A stream that never came sooner than that may never have been idle. */
static double usual_lag(struct lags *lags, CUstream stream)
{
    double least = *least_of_stream(lags, stream);
    return least - lags->least < MOST_USUAL_LAG ? least : lags->least;
}

/*
 * A device with nothing to do comes to the event at once, and then has nothing to do until the
 * driver has been given the work: that is no part of it. One that is busy comes late to the event,
 * and has the work by then.
 */
void wh_observed_correct(const struct wh_cuda_clock *clock, const struct wh_observed_cost *cost,
                         struct wh_cuda_work *works)
{
    struct lags lags = {.streams.n = 0};
    find_lags(clock, works, &lags);
    for (struct wh_cuda_work *work = works; work; work = work->next) {
        if (work->wait || work->waited || !is_one_piece(work))
            continue;
        double usual = usual_lag(&lags, work->stream);
        double late = lag_of(clock, work->begin, work->taken) - usual;
        double idle = work->next_taken - work->taken - late;
        double begin = work->begin + (idle > 0 ? idle + cost->before_idle : cost->before_busy);
        double end = work->end - cost->behind;
        if (end - begin < cost->least)
            begin = end - cost->least;
        work->begin = begin > work->begin ? begin : work->begin;
        work->end = end > work->begin ? end : work->end;
    }
}

/* ---- what timing itself takes ---- */

enum { TRIALS = WH_OBSERVED_PROBES / 2 };

#define BUSY_BYTES ((size_t)32 << 20) /* what a device is busy with for some microseconds */

/* What the cost is found out with. */
struct probe {
    const struct wh_observed_context *observed;
    const struct wh_cuda_clock *clock;
    const struct wh_observed_base *base;
    const CUevent *events; /* WH_OBSERVED_PROBES */
    CUmodule module;
    CUfunction kernel; /* does nothing */
    CUdeviceptr memory;
};

/* Events at once, so that the device comes to one right behind the other. */
static bool time_event(const struct probe *probe, double *time)
{
    wh_cuda_moment moments[2 * TRIALS];
    for (unsigned i = 0; i < 2 * TRIALS; i++)
        if (!wh_observed_record(probe->events[i], probe->observed->stream))
            return false;
    if (cuEventSynchronize(probe->events[2 * TRIALS - 1]) != CUDA_SUCCESS ||
        wh_observed_read(probe->events[0], probe->events, 2 * TRIALS, moments) != CUDA_SUCCESS)
        return false;
    *time = INFINITY;
    for (unsigned i = TRIALS; i < 2 * TRIALS; i++) {
        double between = (moments[i].milliseconds - moments[i - 1].milliseconds) * 1e6;
        if (moments[i].status != CUDA_SUCCESS)
            return false;
        *time = between < *time ? between : *time;
    }
    return *time >= 0;
}

/* `n` kernels between two events, on a device that has or has not anything to do before. */
static bool put_kernels(const struct probe *probe, unsigned trial, int n, bool busy)
{
    CUstream stream = probe->observed->stream;
    CUresult result = CUDA_SUCCESS;
    if (busy)
        result = cuMemsetD8Async(probe->memory, 0, BUSY_BYTES, stream);
    if (!wh_observed_record(probe->events[2 * trial], stream))
        return false;
    for (int i = 0; i < n && result == CUDA_SUCCESS; i++)
        result = cuLaunchKernel(probe->kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
    return wh_observed_record(probe->events[2 * trial + 1], stream) && result == CUDA_SUCCESS &&
           cuEventSynchronize(probe->events[2 * trial + 1]) == CUDA_SUCCESS;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the program would be told without a cost: the median of some. */
static bool time_kernels(const struct probe *probe, int n, bool busy, double *time)
{
    const struct wh_observed_cost none = {0};
    wh_cuda_moment moments[2 * TRIALS];
    struct wh_cuda_work works[TRIALS] = {0};
    double times[TRIALS];
    for (unsigned i = 0; i < TRIALS; i++)
        if (!put_kernels(probe, i, n, busy))
            return false;
    if (wh_observed_read(probe->base->event, probe->events, 2 * TRIALS, moments) != CUDA_SUCCESS)
        return false;
    for (unsigned i = 0; i < TRIALS; i++) {
        if (moments[2 * i].status != CUDA_SUCCESS || moments[2 * i + 1].status != CUDA_SUCCESS)
            return false;
        works[i].base = (struct wh_observed_base *)probe->base;
        works[i].told.what = WH_OBSERVE_KERNELS;
        works[i].next = i + 1 < TRIALS ? &works[i + 1] : NULL;
        wh_observed_times(&works[i], &moments[2 * i], &moments[2 * i + 1]);
    }
    wh_observed_correct(probe->clock, &none, works);
    for (unsigned i = 0; i < TRIALS; i++)
        times[i] = works[i].end - works[i].begin;
    qsort(times, TRIALS, sizeof(times[0]), by_size);
    *time = times[TRIALS / 2];
    return true;
}

static double at_least_0(double x)
{
    return x > 0 ? x : 0;
}

static void measure(const struct probe *probe, struct wh_observed_cost *cost)
{
    double event, one, two, idle;
    if (!time_event(probe, &event) || !time_kernels(probe, 1, true, &one) ||
        !time_kernels(probe, 2, true, &two) || !time_kernels(probe, 1, false, &idle))
        return;
    double kernel = at_least_0(two - one) / 2; /* the other half lies between the two */
    cost->least = kernel < one ? kernel : one;
    cost->behind = event < one ? event : one;
    cost->before_busy = at_least_0(one - cost->behind - kernel);
    cost->before_idle = at_least_0(idle - cost->behind - kernel);
}

static bool equip_probe(struct probe *probe)
{
    static const char nothing[] = ".version 6.3\n.target sm_75\n.address_size 64\n"
                                  ".visible .entry nothing() { ret; }\n";
    return cuModuleLoadData(&probe->module, nothing) == CUDA_SUCCESS &&
           cuModuleGetFunction(&probe->kernel, probe->module, "nothing") == CUDA_SUCCESS &&
           cuMemAllocAsync(&probe->memory, BUSY_BYTES, probe->observed->stream) == CUDA_SUCCESS;
}

void wh_observed_measure(struct wh_observed_context *observed, const struct wh_cuda_clock *clock,
                         const struct wh_observed_base *base, const CUevent *events)
{
    struct probe probe = {.observed = observed, .clock = clock, .base = base, .events = events};
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED; /* no capture is broken by this */
    (void)cuThreadExchangeStreamCaptureMode(&mode);
    if (equip_probe(&probe))
        measure(&probe, &observed->cost);
    if (probe.memory) /* in order: cuMemFree would wait for what the program does */
        (void)cuMemFreeAsync(probe.memory, observed->stream);
    (void)cuThreadExchangeStreamCaptureMode(&mode);
    /* The module goes with the context, for unloading it would wait, too. */
}
