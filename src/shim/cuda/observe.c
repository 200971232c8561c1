/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a profiler in the same process of the driver API's calls, and gives it the table by which
 * it asks for that.
 */
#include "shim/cuda/observe.h"

#include "cuda_params.h"

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
    wh_cuda_thread()->observed.quiet++;
}

void wh_cuda_quiet_end(void)
{
    wh_cuda_thread()->observed.quiet--;
}

/* The kernel that a call launches, by its arguments; NULL: it launches none. */
static const void *launched_by(const struct wh_cuda_frame *frame)
{
    switch (frame->number) {
    case WH_CUDA_cuLaunchKernel:
        return ((const struct wh_cuda_params_cuLaunchKernel *)frame->params)->value;
    case WH_CUDA_cuLaunchKernelEx:
        return ((const struct wh_cuda_params_cuLaunchKernelEx *)frame->params)->value;
    case WH_CUDA_cuLaunchCooperativeKernel:
        return ((const struct wh_cuda_params_cuLaunchCooperativeKernel *)frame->params)->value;
    case WH_CUDA_cuLaunch:
        return ((const struct wh_cuda_params_cuLaunch *)frame->params)->value;
    case WH_CUDA_cuLaunchGrid:
        return ((const struct wh_cuda_params_cuLaunchGrid *)frame->params)->value;
    case WH_CUDA_cuLaunchGridAsync:
        return ((const struct wh_cuda_params_cuLaunchGridAsync *)frame->params)->value;
    default:
        return NULL;
    }
}

static const char *symbol_of(const struct wh_cuda_frame *frame)
{
    const void *kernel = launched_by(frame);
    struct wh_session *session = kernel ? wh_cuda_session() : NULL;
    struct wh_object *object =
        session ? wh_object_check(wh_session_objects(session), kernel, 0) : NULL;
    if (!object ||
        (object->type != WH_CUDA_TYPE_CUfunction && object->type != WH_CUDA_TYPE_CUkernel))
        return NULL;
    const struct wh_cuda_facts *facts = wh_cuda_facts_of(object);
    return facts ? facts->name : NULL;
}

/* What the profiler does between these two, it does outside of the call: with the default stream
 * that is its own. Of calls that it makes there it is not called back. */
struct visit {
    unsigned per_thread;
    bool called_back;
};

static struct visit leave_call(struct wh_cuda_thread *thread)
{
    struct visit visit = {thread->per_thread, thread->observed.called_back};
    thread->per_thread = 0;
    thread->observed.called_back = true;
    return visit;
}

static void enter_call(struct wh_cuda_thread *thread, struct visit visit)
{
    thread->observed.called_back = visit.called_back;
    thread->per_thread = visit.per_thread;
}

static void call_back(struct wh_cuda_frame *frame, const CUresult *result)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    const struct wh_observer *who = wh_cuda_observer();
    bool per_thread = thread->per_thread != 0;
    if (!who || thread->observed.called_back || !wh_cuda_observes(WH_OBSERVE_CALLBACKS) ||
        (result ? !frame->ticket : !who->wants(frame->number, per_thread)))
        return;
    CUcontext context = wh_cuda_current();
    const struct wh_cuda_context *known = context ? wh_cuda_context(context) : NULL;
    struct wh_observed_callback callback = {
        .number = frame->number,
        .per_thread = per_thread,
        .correlation = frame->correlation,
        .context = known ? context : NULL,
        .context_id = known ? known->number : WH_OBSERVE_NO_ID,
        .symbol = symbol_of(frame),
        .params = frame->params,
        .shared = &frame->shared,
        .result = result,
        .ticket = frame->ticket,
    };
    struct visit visit = leave_call(thread);
    frame->ticket = who->callback(&callback);
    enter_call(thread, visit);
}

void wh_cuda_call_begins(struct wh_cuda_frame *frame, uint16_t number, const void *params)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    *frame = (struct wh_cuda_frame){
        .outer = thread->observed.frame,
        .number = number,
        .params = params,
        .correlation = atomic_fetch_add_explicit(&correlations, 1, memory_order_relaxed) + 1,
    };
    call_back(frame, NULL);
    if (wh_cuda_observes(WH_OBSERVE_CALLS))
        wh_cuda_memory_looked_up(frame);
    thread->observed.frame = frame;
    frame->begin = wh_cuda_now();
}

/* What the call waited for, by its arguments. */
static void say_wait(struct wh_observed_call *call, const struct wh_cuda_frame *frame)
{
    const struct wh_object *event = NULL;
    call->stream = call->event = WH_OBSERVE_NO_ID;
    switch (frame->number) {
    case WH_CUDA_cuCtxSynchronize:
    case WH_CUDA_cuCtxSynchronize_v2:
        call->wait = WH_WAITS_CONTEXT;
        break;
    case WH_CUDA_cuStreamSynchronize: {
        const struct wh_cuda_params_cuStreamSynchronize *p = frame->params;
        call->wait = WH_WAITS_STREAM;
        call->stream = wh_cuda_stream_number(p->hStream);
        break;
    }
    case WH_CUDA_cuStreamWaitEvent: {
        const struct wh_cuda_params_cuStreamWaitEvent *p = frame->params;
        call->wait = WH_WAITS_STREAM_EVENT;
        call->stream = wh_cuda_stream_number(p->hStream);
        event = wh_cuda_object(p->hEvent, WH_CUDA_TYPE_CUevent);
        break;
    }
    case WH_CUDA_cuEventSynchronize: {
        const struct wh_cuda_params_cuEventSynchronize *p = frame->params;
        call->wait = WH_WAITS_EVENT;
        event = wh_cuda_object(p->hEvent, WH_CUDA_TYPE_CUevent);
        break;
    }
    default:
        break;
    }
    if (event)
        call->event = event->id;
}

/* What the device did until then was over then. */
static void note_wait(const struct wh_observed_call *call, const struct wh_cuda_frame *frame)
{
    CUstream stream = NULL;
    CUcontext context = wh_cuda_current();
    if (call->result != CUDA_SUCCESS ||
        (call->wait != WH_WAITS_STREAM && call->number != WH_CUDA_cuCtxSynchronize))
        return;
    if (call->wait == WH_WAITS_STREAM)
        stream = wh_cuda_stream_meant(
            ((const struct wh_cuda_params_cuStreamSynchronize *)frame->params)->hStream);
    if (stream && cuStreamGetCtx(stream, &context) != CUDA_SUCCESS)
        return;
    wh_cuda_work_waited(context, stream, call->wait == WH_WAITS_CONTEXT, call->end);
}

CUresult wh_cuda_call_ends(struct wh_cuda_frame *frame, CUresult result)
{
    struct wh_cuda_thread *thread = wh_cuda_thread();
    const struct wh_observer *who = wh_cuda_observer();
    CUcontext context = wh_cuda_current();
    const struct wh_cuda_context *known = context ? wh_cuda_context(context) : NULL;
    thread->observed.frame = frame->outer;
    if (!who)
        return result;
    struct wh_observed_call call = {
        .number = frame->number,
        .per_thread = thread->per_thread != 0,
        .worked = frame->worked,
        .correlation = frame->correlation,
        .begin = frame->begin,
        .end = wh_cuda_now(),
        .result = result,
        .context = known ? known->number : WH_OBSERVE_NO_ID,
        .device = known ? (uint32_t)known->device : WH_OBSERVE_NO_ID,
    };
    say_wait(&call, frame);
    note_wait(&call, frame);
    if (wh_cuda_observes(WH_OBSERVE_CALLS)) {
        if (result == CUDA_SUCCESS)
            wh_cuda_say_memory(&call.memory, frame);
        who->call(&call);
    }
    call_back(frame, &result);
    return result;
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
    struct wh_cuda_thread *thread = wh_cuda_thread();
    if (!who || !atomic_load_explicit(&resources_observed, memory_order_acquire) ||
        thread->observed.quiet)
        return;
    struct visit visit = leave_call(thread);
    who->resource(what, context, stream);
    enter_call(thread, visit);
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

static CUresult graph_id(CUgraph graph, uint32_t *id)
{
    const struct wh_object *object = wh_cuda_object(graph, WH_CUDA_TYPE_CUgraph);
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    *id = object->id;
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
    .graph_id = graph_id,
    .graph_exec_id = graph_exec_id,
};
