/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For profilers: events that are recorded with the worker's own time beside them, and what both
 * clocks said of many events at once. By that the client tells how long the device had nothing to
 * do before a kernel.
 */
#include "backend/cuda/backend.h"

#include "base/util.h"

#include <stdlib.h>

/* When the driver was called to record an event, and when it returned. */
struct wh_cuda_record {
    _Atomic uint64_t begin, end;
};

/* Made when it is first needed; the leading thread's, but for reading. */
static struct wh_cuda_record *records(struct wh_call *call)
{
    struct wh_cuda_state *state = wh_cuda_state(call);
    struct wh_cuda_record *all = atomic_load_explicit(&state->records, memory_order_acquire);
    struct wh_cuda_record *none = NULL;
    if (all || !(all = calloc(WH_CUDA_RECORDS, sizeof(*all))))
        return all;
    if (!atomic_compare_exchange_strong(&state->records, &none, all)) {
        free(all);
        all = none;
    }
    return all;
}

CUresult wh_cuda_do_observe_record(struct wh_call *call, CUevent event, CUstream stream,
                                   unsigned place)
{
    struct wh_cuda_record *all = records(call);
    if (place >= WH_CUDA_RECORDS)
        return CUDA_ERROR_INVALID_VALUE;
    if (!all)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t begin = wh_now_ns();
    CUresult result = wh_cuda_driver(call)->cuEventRecord(event, stream);
    atomic_store_explicit(&all[place].begin, begin, memory_order_relaxed);
    atomic_store_explicit(&all[place].end, wh_now_ns(), memory_order_relaxed);
    return result;
}

CUresult wh_cuda_do_observe_times(struct wh_call *call, CUevent base, unsigned n,
                                  const CUevent *events, const unsigned *places,
                                  wh_cuda_moment *moments)
{
    const struct wh_cuda_record *all = records(call);
    if (!all)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!n || n > WH_CUDA_MOST_MOMENTS || !base || !events || !places || !moments)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < n; i++) {
        if (places[i] >= WH_CUDA_RECORDS || !events[i])
            return CUDA_ERROR_INVALID_VALUE;
        moments[i] = (wh_cuda_moment){
            .begin = atomic_load_explicit(&all[places[i]].begin, memory_order_relaxed),
            .end = atomic_load_explicit(&all[places[i]].end, memory_order_relaxed),
        };
        moments[i].status =
            wh_cuda_driver(call)->cuEventElapsedTime(&moments[i].milliseconds, base, events[i]);
    }
    return CUDA_SUCCESS;
}
