/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a profiler in the same process of the driver API's calls, and gives it the table by which
 * it asks for that.
 */
#include "shim/cuda/observe.h"

_Atomic unsigned wh_cuda_observed;

static const struct wh_observer *_Atomic observer;
static _Atomic bool resources_observed; /* which is not to cost other calls anything */
static _Atomic uint32_t correlations;

/* ---- calls ---- */

const struct wh_observer *wh_cuda_observer(void)
{
    return atomic_load_explicit(&observer, memory_order_acquire);
}

void wh_cuda_quiet_begin(void)
{
    wh_cuda_thread()->observed.depth++;
    wh_cuda_thread()->observed.quiet++;
}

void wh_cuda_quiet_end(void)
{
    wh_cuda_thread()->observed.quiet--;
    wh_cuda_thread()->observed.depth--;
}

void wh_cuda_call_begins(void)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    if (thread->observed.depth++)
        return;
    thread->observed.worked = false;
    thread->observed.shared = 0;
    thread->observed.correlation =
        atomic_fetch_add_explicit(&correlations, 1, memory_order_relaxed) + 1;
    thread->observed.begin = wh_cuda_now();
}

static void tell_launch(uint16_t number, const char *symbol, const void *params, CUresult result,
                        bool returns)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    const struct wh_observer *who = wh_cuda_observer();
    CUcontext context = wh_cuda_current();
    if (!who || thread->observed.depth != 1 || !wh_cuda_observes(WH_OBSERVE_LAUNCHES))
        return;
    const struct wh_observed_launch launch = {
        .number = number,
        .per_thread = thread->per_thread != 0,
        .correlation = thread->observed.correlation,
        .context = context,
        .context_id = wh_cuda_context_number(context),
        .symbol = symbol,
        .params = params,
        .shared = &thread->observed.shared,
        .result = result,
    };
    who->launch(&launch, returns);
}

void wh_cuda_launch_begins(uint16_t number, const char *symbol, const void *params)
{
    wh_cuda_call_begins();
    tell_launch(number, symbol, params, CUDA_SUCCESS, false);
}

void wh_cuda_launch_ends(uint16_t number, const char *symbol, const void *params, CUresult result)
{
    tell_launch(number, symbol, params, result, true);
    wh_cuda_call_ends(number, result, NULL);
}

/* What the call waited for, by its words. */
static void say_wait(struct wh_observed_call *call, uint16_t number, const uint64_t *a)
{
    const struct wh_object *event = NULL;
    call->stream = call->event = WH_OBSERVE_NO_ID;
    switch (number) {
    case WH_CUDA_cuCtxSynchronize:
    case WH_CUDA_cuCtxSynchronize_v2:
        call->wait = WH_WAITS_CONTEXT;
        break;
    case WH_CUDA_cuStreamSynchronize:
        call->wait = WH_WAITS_STREAM;
        call->stream = wh_cuda_stream_number((CUstream)(uintptr_t)a[0]);
        break;
    case WH_CUDA_cuStreamWaitEvent:
        call->wait = WH_WAITS_STREAM_EVENT;
        call->stream = wh_cuda_stream_number((CUstream)(uintptr_t)a[0]);
        event = wh_cuda_object((const void *)(uintptr_t)a[1], WH_CUDA_TYPE_CUevent);
        break;
    case WH_CUDA_cuEventSynchronize:
        call->wait = WH_WAITS_EVENT;
        event = wh_cuda_object((const void *)(uintptr_t)a[0], WH_CUDA_TYPE_CUevent);
        break;
    default:
        break;
    }
    if (event)
        call->event = event->id;
}

/* What the device did until then was over then. */
static void note_wait(const struct wh_observed_call *call, const uint64_t *a)
{
    CUstream stream = NULL;
    CUcontext context = wh_cuda_current();
    if (call->result != CUDA_SUCCESS ||
        (call->wait != WH_WAITS_STREAM && call->number != WH_CUDA_cuCtxSynchronize))
        return;
    if (call->wait == WH_WAITS_STREAM)
        stream = wh_cuda_stream_meant((CUstream)(uintptr_t)a[0]);
    if (stream && cuStreamGetCtx(stream, &context) != CUDA_SUCCESS)
        return;
    wh_cuda_work_waited(context, stream, call->wait == WH_WAITS_CONTEXT, call->end);
}

void wh_cuda_call_ends(uint16_t number, CUresult result, const uint64_t *a)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    const struct wh_observer *who = atomic_load_explicit(&observer, memory_order_acquire);
    if (--thread->observed.depth || !who)
        return;
    struct wh_observed_call call = {
        .number = number,
        .per_thread = thread->per_thread != 0,
        .worked = thread->observed.worked,
        .correlation = thread->observed.correlation,
        .begin = thread->observed.begin,
        .end = wh_cuda_now(),
        .result = result,
        .context = wh_cuda_context_number(wh_cuda_current()),
    };
    say_wait(&call, number, a);
    note_wait(&call, a);
    if (atomic_load_explicit(&wh_cuda_observed, memory_order_relaxed) & WH_OBSERVE_CALLS)
        who->call(&call);
}

/* ---- the table ---- */

static void observe(const struct wh_observer *who, unsigned what)
{
    atomic_store_explicit(&observer, who, memory_order_release);
    atomic_store_explicit(&resources_observed, what & WH_OBSERVE_RESOURCES, memory_order_release);
    atomic_store_explicit(&wh_cuda_observed, what & ~(unsigned)WH_OBSERVE_RESOURCES,
                          memory_order_release);
}

void wh_cuda_observe_resource(enum wh_observed_resource what, CUcontext context, CUstream stream)
{
    const struct wh_observer *who = wh_cuda_observer();
    if (who && atomic_load_explicit(&resources_observed, memory_order_acquire) &&
        !wh_cuda_thread()->observed.quiet)
        who->resource(what, context, stream);
}

static const char *name_of(unsigned number, bool per_thread)
{
    for (size_t i = 0; i < wh_cuda_nfunctions; i++) {
        const char *name = wh_cuda_functions[i].name;
        size_t n = strlen(name);
        bool variant =
            n > 5 && (strcmp(name + n - 5, "_ptsz") == 0 || strcmp(name + n - 5, "_ptds") == 0);
        if (wh_cuda_functions[i].call == number && variant == per_thread)
            return name;
    }
    return NULL;
}

static CUresult context_id(CUcontext context, uint32_t *id)
{
    if (!wh_cuda_context(context))
        return CUDA_ERROR_INVALID_CONTEXT;
    *id = wh_cuda_context_number(context);
    return CUDA_SUCCESS;
}

static CUresult device_id(CUcontext context, uint32_t *id)
{
    const struct wh_cuda_context *state = wh_cuda_context(context ? context : wh_cuda_current());
    if (!state)
        return CUDA_ERROR_INVALID_CONTEXT;
    *id = (uint32_t)state->device;
    return CUDA_SUCCESS;
}

static CUresult stream_id(CUcontext context, CUstream stream, bool per_thread, uint32_t *id)
{
    CUcontext own = NULL;
    CUresult result = wh_cuda_check_stream(stream);
    if (result == CUDA_SUCCESS)
        result = cuStreamGetCtx(stream, &own);
    if (result != CUDA_SUCCESS || (context && context != own))
        return CUDA_ERROR_INVALID_HANDLE;
    *id = wh_cuda_stream_number(per_thread && !stream ? CU_STREAM_PER_THREAD : stream);
    return CUDA_SUCCESS;
}

static CUresult graph_exec_id(CUgraphExec exec, uint32_t *id)
{
    const struct wh_object *object = wh_cuda_object(exec, WH_CUDA_TYPE_CUgraphExec);
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    *id = object->id;
    return CUDA_SUCCESS;
}

const struct wh_observe_table wh_cuda_observe_table = {
    .size = sizeof(wh_cuda_observe_table),
    .version = WH_OBSERVE_VERSION,
    .observe = observe,
    .collect = wh_cuda_observe_collect,
    .name = name_of,
    .context_id = context_id,
    .device_id = device_id,
    .stream_id = stream_id,
    .graph_exec_id = graph_exec_id,
};
